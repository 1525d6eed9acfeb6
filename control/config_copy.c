/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>

/* A pointer is that of the original until it has its own copy, or NULL. */
#define COPY(member, count) copied &= copy_array((void **)&(member), (count) * sizeof(*(member)))
#define COPY_TEXT(member) copied &= copy_text((char **)&(member))

static bool copy_array(void **place, size_t bytes)
{
	const void *from = *place;

	*place = from && bytes ? malloc(bytes) : NULL;
	if (*place)
		memcpy(*place, from, bytes);
	return *place || !from || !bytes;
}

static bool copy_text(char **place)
{
	return copy_array((void **)place, *place ? strlen(*place) + 1 : 0);
}

static bool copy_bus(struct sl_bus *bus)
{
	bool copied = true;

	COPY(bus->server, bus->servers);
	if (!bus->server)
		bus->servers = 0;
	for (size_t i = 0; i < bus->servers; i++)
		COPY_TEXT(((char **)bus->server)[i]);
	COPY_TEXT(bus->ca_file);
	COPY_TEXT(bus->certificate_file);
	COPY_TEXT(bus->certificate_key_file);
	COPY_TEXT(bus->server_name);
	COPY_TEXT(bus->credentials_file);
	return copied;
}

/* Those of the file stand first: indices stay right. */
static bool copy_sites(struct config *to)
{
	bool copied = true;
	unsigned sites = 0;

	while (sites < to->sites && !to->site[sites].discovered)
		sites++;
	COPY(to->site, sites);
	to->sites = to->site ? sites : 0;
	for (unsigned i = 0; i < to->sites; i++)
		COPY(to->site[i].label, to->site[i].labels);
	return copied;
}

static bool copy_services(struct config *to)
{
	bool copied = true;

	COPY(to->service, to->services);
	if (!to->service)
		to->services = 0;
	for (unsigned i = 0; i < to->services; i++) {
		struct config_service *service = &to->service[i];
		unsigned sites = 0;

		while (sites < service->sites && service->site[sites] < to->sites)
			sites++;
		COPY(service->site, service->sites);
		COPY(service->require, service->requires);
		service->sites = service->site ? sites : 0;
	}
	return copied;
}

struct config *config_copy(const struct config *from)
{
	struct config *to = malloc(sizeof(*to));
	bool copied = true;

	if (!to)
		return NULL;
	*to = *from;
	copied &= copy_bus(&to->bus);
	copied &= copy_sites(to);
	copied &= copy_services(to);
	COPY(to->dataplane.port, to->dataplane.ports);
	COPY(to->dataplane.core, to->dataplane.cores);
	COPY(to->dataplane.sid, to->dataplane.sids);
	COPY(to->dataplane.vni, to->dataplane.vnis);
	COPY(to->edge, to->edges);
	COPY(to->transit, to->transits);
	COPY(to->receiver, to->receivers);
	COPY(to->operator, to->operators);
	COPY_TEXT(to->key_file);
	COPY_TEXT(to->probes.key_file);
	COPY_TEXT(to->run_dir);
	COPY_TEXT(to->user);
	if (copied)
		return to;
	config_free(to);
	return NULL;
}
