/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_site.h"
#include "config_value.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNMEASURED_S 0.1 /* far, until the first probe says how far */

static int set_site_key(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct config_site *site = out;

	site->has_key = true;
	return config_set_key(reader, field, node, site->key);
}

static int set_way(struct config_reader *reader, const yaml_node_t *node, struct config_site *site,
		   unsigned family, const struct sl_via *via)
{
	if (site->via[family].kind != SL_VIA_NONE)
		return config_fail(reader, node, "the site has another way for IPv%d already",
				   family == SL_INNER_IPV4 ? 4 : 6);
	site->via[family] = *via;
	return 0;
}

static int read_segments(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, struct sl_via *via)
{
	struct in6_addr *segment = NULL;
	unsigned segments;
	int result = config_read_list(reader, field, config_set_ipv6, sizeof(*segment),
				      SL_SEGMENTS_MAX, node, &segment, &segments);

	if (result == 0 && segments == 0)
		result = config_fail(reader, node, "expected a SID");
	*via = (struct sl_via){.kind = SL_VIA_SRV6, .segments = (uint8_t)segments};
	if (result == 0)
		memcpy(via->segment, segment, segments * sizeof(*segment));
	free(segment);
	return result;
}

static int set_sid4(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	struct sl_via via;

	if (read_segments(reader, field, node, &via) < 0)
		return -EINVAL;
	return set_way(reader, node, out, SL_INNER_IPV4, &via);
}

static int set_sid6(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	struct sl_via via;

	if (read_segments(reader, field, node, &via) < 0)
		return -EINVAL;
	return set_way(reader, node, out, SL_INNER_IPV6, &via);
}

static int set_sid(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	struct sl_via via;

	if (read_segments(reader, field, node, &via) < 0 ||
	    set_way(reader, node, out, SL_INNER_IPV4, &via) < 0)
		return -EINVAL;
	return set_way(reader, node, out, SL_INNER_IPV6, &via);
}

static void map_ipv4(const struct in_addr *address, struct in6_addr *out)
{
	*out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}}; /* RFC 4291 2.5.5.2 */
	memcpy(&out->s6_addr[12], address, sizeof(*address));
}

static int set_deliver4(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct sl_via via = {.kind = SL_VIA_L2, .segments = 1};
	struct in_addr address;

	if (config_set_ipv4(reader, field, node, &address) < 0)
		return -EINVAL;
	map_ipv4(&address, &via.segment[0]);
	return set_way(reader, node, out, SL_INNER_IPV4, &via);
}

static int set_deliver6(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct sl_via via = {.kind = SL_VIA_L2, .segments = 1};

	if (config_set_ipv6(reader, field, node, &via.segment[0]) < 0)
		return -EINVAL;
	return set_way(reader, node, out, SL_INNER_IPV6, &via);
}

static int set_vxlan(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct sl_via via = {.kind = SL_VIA_VXLAN, .segments = 1};
	struct in_addr address;

	if (config_set_ipv4(reader, field, node, &address) < 0)
		return -EINVAL;
	map_ipv4(&address, &via.segment[0]);
	if (set_way(reader, node, out, SL_INNER_IPV4, &via) < 0)
		return -EINVAL;
	return set_way(reader, node, out, SL_INNER_IPV6, &via);
}

static int set_labels(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	struct config_site *site = out;

	return config_read_list(reader, field, config_set_name, sizeof(*site->label), SL_LABELS_MAX,
				node, &site->label, &site->labels);
}

/* The VNI is a key of its own, in any order with the address. */
static int finish_vxlan(struct config_reader *reader, const yaml_node_t *node,
			struct config_site *site)
{
	const uint8_t vni[3] = {site->vni >> 16, site->vni >> 8 & 0xff, site->vni & 0xff};
	bool vxlan = site->via[SL_INNER_IPV4].kind == SL_VIA_VXLAN;

	if (vxlan != (site->vni != 0))
		return config_fail(reader, node,
				   vxlan ? "vxlan needs a vni (1..16777215) too"
					 : "vni needs a vxlan address too");
	for (unsigned f = 0; vxlan && f < SL_INNER_FAMILIES; f++)
		memcpy(site->via[f].vni, vni, sizeof(vni));
	return 0;
}

int config_set_site(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct config_site, name),
		CONFIG_WHOLE("key", set_site_key),
		CONFIG_WHOLE("sid4", set_sid4),
		CONFIG_WHOLE("sid6", set_sid6),
		CONFIG_WHOLE("sid", set_sid),
		CONFIG_WHOLE("vxlan", set_vxlan),
		CONFIG_RANGE("vni", config_set_unsigned, struct config_site, vni, 1, 0xffffff),
		CONFIG_WHOLE("deliver4", set_deliver4),
		CONFIG_WHOLE("deliver6", set_deliver6),
		CONFIG_RANGE("delay_ms", config_set_ms, struct config_site, delay_s, 0, 60000),
		CONFIG_FIELD("delay_fixed", config_set_bool, struct config_site, delay_fixed),
		CONFIG_FIELD("reflector", config_set_ipv6, struct config_site, reflector),
		CONFIG_RANGE("servers", config_set_unsigned, struct config_site, servers, 1, 1e6),
		CONFIG_RANGE("flows_per_s", config_set_unsigned, struct config_site, flows_per_s, 1,
			     1e9),
		CONFIG_WHOLE("labels", set_labels),
	};

	struct config_site *site = out;

	(void)field;
	site->servers = 1;
	site->delay_s = -1;
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	if (site->delay_s < 0)
		site->delay_s = IN6_IS_ADDR_UNSPECIFIED(&site->reflector) ? 0 : UNMEASURED_S;
	return finish_vxlan(reader, node, site);
}
