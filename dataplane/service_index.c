/* SPDX-License-Identifier: BSD-3-Clause */
#include "service_index.h"

#include <stdlib.h>
#include <string.h>

static void add(struct classify_entry *entry, const struct service *service, int family)
{
	*entry = (struct classify_entry){
		.port = service->port,
		.protocol = service->protocol,
		.family = family,
		.service = service->slot,
	};
	if (family == 4)
		memcpy(entry->address, &service->ipv4, sizeof(service->ipv4));
	else
		memcpy(entry->address, &service->ipv6, sizeof(service->ipv6));
}

static int address_order(const void *a, const void *b)
{
	const struct classify_entry *one = a, *two = b;

	if (one->family != two->family)
		return one->family - two->family;
	return memcmp(one->address, two->address, sizeof(one->address));
}

/* ICMP to a service's address has no port: one entry for each address, whichever service it is. */
static unsigned add_icmp(struct classify_entry *entry, unsigned entries)
{
	struct classify_entry *icmp = entry + entries;
	unsigned n = 0;

	memcpy(icmp, entry, entries * sizeof(*icmp));
	qsort(icmp, entries, sizeof(*icmp), address_order);
	for (unsigned i = 0; i < entries; i++) {
		if (n && address_order(&icmp[i], &icmp[n - 1]) == 0)
			continue;
		icmp[n] = icmp[i];
		icmp[n].port = 0;
		icmp[n].protocol = icmp[n].family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		n++;
	}
	return n;
}

struct classify *service_index_build(struct service *const services[SL_SERVICES_MAX])
{
	struct classify_entry *entry = calloc(4 * SL_SERVICES_MAX, sizeof(*entry));
	struct classify *table;
	unsigned n = 0;

	if (!entry)
		return NULL;
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
		const struct service *service = services[i];
		if (service && service->ipv4.s_addr)
			add(&entry[n++], service, 4);
		if (service && !IN6_IS_ADDR_UNSPECIFIED(&service->ipv6))
			add(&entry[n++], service, 6);
	}
	n += add_icmp(entry, n);
	table = classify_build(entry, n);
	free(entry);
	return table;
}

int service_index_holder(const struct classify *classify, const struct service *service)
{
	for (int family = 4; family <= 6; family += 2) {
		struct classify_entry entry;
		struct flow_key key = {0};
		uint16_t slot;
		add(&entry, service, family);
		memcpy(key.destination, entry.address, sizeof(key.destination));
		key.destination_port = entry.port;
		key.protocol = entry.protocol;
		key.family = family;
		slot = classify_lookup(classify, &key);
		if (slot != CLASSIFY_NONE && slot != service->slot)
			return slot;
	}
	return -1;
}
