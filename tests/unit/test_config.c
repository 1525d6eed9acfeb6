/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_TEXT 45

/* @0..@3 become public keys; the cases below replace single pieces of it. */
static const char good[] = "node: edge1\n"
			   "address: fc00:e::1\n"
			   "key: node.key\n"
			   "run_dir: /run/suanlu-test\n"
			   "user: root\n"
			   "steering: nearest\n"
			   "interval_ms: 20\n"
			   "dataplane:\n"
			   "  ports: [lo]\n"
			   "  pins: 2M\n"
			   "  cores: [0]\n"
			   "  busy_poll: true\n"
			   "  huge_pages: false\n"
			   "  sids: [\"fc00:e:0:46::/64\"]\n"
			   "telemetry:\n"
			   "  listen: \"[fc00:e::1]:7801\"\n"
			   "metrics:\n"
			   "  listen: \"127.0.0.1:9801\"\n"
			   "services:\n"
			   "  - name: infer\n" /* line 20 */
			   "    ipv4: 192.0.2.80\n"
			   "    ipv6: 2001:db8:80::80\n"
			   "    protocol: tcp\n"
			   "    port: 80\n"
			   "    affinity: client\n"
			   "    idle_s: 60\n"
			   "    max_delay_ms: 30\n"
			   "    requires: [ai]\n"
			   "    sites: [c, a]\n"
			   "  - name: dns\n" /* line 30 */
			   "    ipv4: 192.0.2.80\n"
			   "    protocol: udp\n"
			   "    port: 80\n"
			   "sites:\n"
			   "  - name: a\n"
			   "    key: @0\n"
			   "    sid4: \"fc00:a:0:4::\"\n"
			   "    sid6: [fc00:9::1, \"fc00:a:0:6::\"]\n"
			   "    delay_ms: 2.5\n"
			   "    servers: 4\n" /* line 40 */
			   "    labels: [ai, cloud]\n"
			   "  - name: b\n"
			   "    deliver4: 10.3.0.2\n"
			   "    deliver6: fc00:3::2\n"
			   "  - name: c\n"
			   "    key: @1\n"
			   "    sid: fc00:c:0:46::1\n"
			   "edges:\n"
			   "  - name: edge2\n"
			   "    key: @2\n" /* line 50 */
			   "    address: \"192.0.2.2:7801\"\n"
			   "announce:\n"
			   "  table: default\n"
			   "  metric: 7\n";

static char keys[4][KEY_TEXT];
static uint8_t raw_keys[4][SL_KEY_BYTES];

static void write_file(const char *name, const char *text, size_t bytes)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '@' && i + 1 < bytes)
			fputs(keys[text[++i] - '0'], file);
		else
			fputc(text[i], file);
	}
	assert_int_equal(fclose(file), 0);
}

/* The good file with `from` (its first occurrence) replaced. */
static void write_changed(const char *from, const char *to)
{
	char text[sizeof(good) + 8192];
	const char *place = strstr(good, from);

	if (!place)
		fail_msg("no '%s' in the good file", from);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - good), good, to,
		 place + strlen(from));
	write_file("t.yaml", text, strlen(text));
}

static void check_node(const struct config *c)
{
	const struct sockaddr_in6 *listen = (const void *)&c->telemetry_listen;
	const struct sockaddr_in *metrics = (const void *)&c->metrics_listen;
	struct in6_addr address;

	inet_pton(AF_INET6, "fc00:e::1", &address);
	assert_string_equal(c->node, "edge1");
	assert_memory_equal(&c->address, &address, 16);
	assert_string_equal(c->key_file, "node.key");
	assert_string_equal(c->run_dir, "/run/suanlu-test");
	assert_string_equal(c->user, "root");
	assert_int_equal(c->steering, CONFIG_STEERING_NEAREST);
	assert_int_equal(c->interval_ms, 20);
	assert_int_equal(listen->sin6_family, AF_INET6);
	assert_int_equal(ntohs(listen->sin6_port), 7801);
	assert_memory_equal(&listen->sin6_addr, &address, 16);
	assert_int_equal(metrics->sin_family, AF_INET);
	assert_int_equal(ntohs(metrics->sin_port), 9801);
	assert_int_equal(ntohl(metrics->sin_addr.s_addr), INADDR_LOOPBACK);
}

static void check_dataplane(const struct config_dataplane *d)
{
	struct in6_addr address;

	inet_pton(AF_INET6, "fc00:e:0:46::", &address);
	assert_int_equal(d->ports, 1);
	assert_string_equal(d->port[0], "lo");
	assert_int_equal(d->pins, 2000000);
	assert_int_equal(d->cores, 1);
	assert_int_equal(d->core[0], 0);
	assert_true(d->busy_poll);
	assert_false(d->huge_pages);
	assert_int_equal(d->sids, 1);
	assert_memory_equal(&d->sid[0].prefix, &address, 16);
	assert_int_equal(d->sid[0].prefix_bits, 64);
}

static void check_services(const struct config *c)
{
	const struct config_service *s = c->service;
	struct in6_addr address;

	inet_pton(AF_INET6, "2001:db8:80::80", &address);
	assert_int_equal(c->services, 2);
	assert_string_equal(s[0].name, "infer");
	assert_int_equal(ntohl(s[0].ipv4.s_addr), 0xc0000250);
	assert_memory_equal(&s[0].ipv6, &address, 16);
	assert_int_equal(s[0].port, 80);
	assert_int_equal(s[0].protocol, IPPROTO_TCP);
	assert_int_equal(s[0].affinity, SL_AFFINITY_CLIENT);
	assert_int_equal(s[0].idle_s, 60);
	assert_true(fabs(s[0].max_delay_s - 0.030) < 1e-12);
	assert_int_equal(s[0].requires, 1);
	assert_string_equal(s[0].require[0], "ai");
	assert_int_equal(s[0].sites, 2);
	assert_int_equal(s[0].site[0], 2);
	assert_int_equal(s[0].site[1], 0);
	assert_string_equal(s[1].name, "dns");
	assert_int_equal(s[1].protocol, IPPROTO_UDP);
	assert_int_equal(s[1].affinity, SL_AFFINITY_FLOW);
	assert_int_equal(s[1].idle_s, 3600);
	assert_true(isinf(s[1].max_delay_s));
	assert_int_equal(s[1].requires, 0);
	assert_int_equal(s[1].sites, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s[1].site[i], i);
}

static void check_segment(const struct sl_via *via, int kind, const char *first, const char *second)
{
	struct in6_addr address;

	assert_int_equal(via->kind, kind);
	assert_int_equal(via->segments, second ? 2 : 1);
	inet_pton(AF_INET6, first, &address);
	assert_memory_equal(&via->segment[0], &address, 16);
	if (second) {
		inet_pton(AF_INET6, second, &address);
		assert_memory_equal(&via->segment[1], &address, 16);
	}
}

static void check_sites(const struct config *c)
{
	const struct config_site *s = c->site;

	assert_int_equal(c->sites, 3);
	assert_string_equal(s[0].name, "a");
	assert_true(s[0].has_key);
	assert_memory_equal(s[0].key, raw_keys[0], SL_KEY_BYTES);
	check_segment(&s[0].via[SL_INNER_IPV4], SL_VIA_SRV6, "fc00:a:0:4::", NULL);
	check_segment(&s[0].via[SL_INNER_IPV6], SL_VIA_SRV6, "fc00:9::1", "fc00:a:0:6::");
	assert_true(fabs(s[0].delay_s - 0.0025) < 1e-12);
	assert_int_equal(s[0].servers, 4);
	assert_int_equal(s[0].labels, 2);
	assert_string_equal(s[0].label[1], "cloud");
	assert_false(s[1].has_key);
	check_segment(&s[1].via[SL_INNER_IPV4], SL_VIA_L2, "::ffff:10.3.0.2", NULL);
	check_segment(&s[1].via[SL_INNER_IPV6], SL_VIA_L2, "fc00:3::2", NULL);
	assert_true(s[1].delay_s == 0);
	assert_int_equal(s[1].servers, 1);
	assert_int_equal(s[1].labels, 0);
	check_segment(&s[2].via[SL_INNER_IPV4], SL_VIA_SRV6, "fc00:c:0:46::1", NULL);
	check_segment(&s[2].via[SL_INNER_IPV6], SL_VIA_SRV6, "fc00:c:0:46::1", NULL);
}

static void test_good(void **state)
{
	const struct sockaddr_in *edge;
	struct config_error error;
	struct config *c = NULL;

	(void)state;
	write_file("t.yaml", good, strlen(good));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	check_node(c);
	check_dataplane(&c->dataplane);
	check_services(c);
	check_sites(c);
	edge = (const void *)&c->edge[0].address;
	assert_int_equal(c->edges, 1);
	assert_string_equal(c->edge[0].name, "edge2");
	assert_memory_equal(c->edge[0].key, raw_keys[2], SL_KEY_BYTES);
	assert_int_equal(ntohl(edge->sin_addr.s_addr), 0xc0000202);
	assert_int_equal(ntohs(edge->sin_port), 7801);
	assert_true(c->announce.on);
	assert_int_equal(c->announce.table, 253);
	assert_int_equal(c->announce.metric, 7);
	assert_string_equal(c->announce.interface, "");
	config_free(c);
}

static void test_announce(void **state)
{
	static const char text[] = "node: t\ndataplane: {ports: lo}\nannounce: {}\n";
	static const char number[] =
		"node: t\ndataplane: {ports: lo}\nannounce: {table: 4000000000}\n";
	struct config_error error;
	struct config *c = NULL;

	(void)state;
	write_file("t.yaml", text, strlen(text));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_true(c->announce.on);
	assert_int_equal(c->announce.table, 254);
	assert_int_equal(c->announce.metric, 1024);
	config_free(c);
	write_file("t.yaml", number, strlen(number));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(c->announce.table, 4000000000);
	config_free(c);
}

static void test_least(void **state)
{
	static const char text[] = "node: t\ndataplane: {ports: lo}\nservices:\nedges: ~\n";
	struct config_error error;
	struct config *c = NULL;

	(void)state;
	write_file("t.yaml", text, strlen(text));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_string_equal(c->run_dir, SL_RUN_DIR);
	assert_null(c->key_file);
	assert_null(c->user);
	assert_int_equal(c->steering, CONFIG_STEERING_OPTIMAL);
	assert_int_equal(c->interval_ms, 50);
	assert_int_equal(c->dataplane.pins, 1000000);
	assert_int_equal(c->dataplane.cores, 0);
	assert_false(c->dataplane.busy_poll);
	assert_true(c->dataplane.huge_pages);
	assert_int_equal(c->telemetry_listen.ss_family, 0);
	assert_int_equal(c->metrics_listen.ss_family, 0);
	assert_int_equal(c->services + c->sites + c->edges, 0);
	assert_false(c->announce.on);
	config_free(c);
}

#define SEGMENTS4 "sid4: [fc00::1, fc00::2, fc00::3, fc00::4]"

static const struct {
	const char *what, *from, *to, *text;
} bad[] = {
	{"unknown key", "steering: nearest", "steer: nearest", "t.yaml:6: steer: unknown key"},
	{"unknown key inside", "    port: 80", "    prt: 80",
	 "t.yaml:24: services[0].prt: unknown key"},
	{"key twice", "    port: 80\n", "    port: 80\n    port: 81\n",
	 "t.yaml:25: services[0].port: given twice"},
	{"not YAML", "interval_ms: 20", "interval_ms: \"20",
	 "t.yaml:14: not valid YAML: did not find expected key"},
	{"colon at the end", "\"fc00:a:0:4::\"", "fc00:a:0:4::",
	 "t.yaml:37: not valid YAML: mapping values are not allowed in this context; an address "
	 "that ends in :: needs quotes"},
	{"colon at the end, in a list", "\"fc00:a:0:6::\"", "fc00:a:0:6::",
	 "t.yaml:38: not valid YAML: found unexpected ':'; an address that ends in :: needs "
	 "quotes"},
	{"tab", "  ports", "\tports",
	 "t.yaml:9: not valid YAML: found character that cannot start any token"},
	{"list for a value", "node: edge1", "node: [edge1]",
	 "t.yaml:1: node: expected one value, found a list"},
	{"value for a mapping", "telemetry:\n  listen", "telemetry: 7801\nx",
	 "t.yaml:15: telemetry: expected keys and values, found one value"},
	{"NUL", "node: edge1", "node: \"a\\0b\"",
	 "t.yaml:1: node: expected one value, found a NUL character"},
	{"no node", "node: edge1", "node:", "t.yaml:1: node: required: this node's name"},
	{"node name", "node: edge1", "node: edge/1",
	 "t.yaml:1: node: expected 1 to 31 of A-Z a-z 0-9 . _ -, found 'edge/1'"},
	{"long name", "node: edge1", "node: abcdefghijklmnopqrstuvwxyz012345",
	 "t.yaml:1: node: expected 1 to 31 of A-Z a-z 0-9 . _ -, found "
	 "'abcdefghijklmnopqrstuvwxyz012345'"},
	{"bad address", "address: fc00:e::1", "address: 192.0.2.1",
	 "t.yaml:2: address: expected a unicast IPv6 address, found '192.0.2.1'"},
	{"multicast", "address: fc00:e::1", "address: ff02::1",
	 "t.yaml:2: address: expected a unicast IPv6 address, found 'ff02::1'"},
	{"no address", "address: fc00:e::1", "address:",
	 "t.yaml:2: address: required: site 'a' has a SID, and this is the outer source address"},
	{"missing key file", "key: node.key", "key: none.key",
	 "t.yaml:3: key: cannot read 'none.key': No such file or directory"},
	{"no key", "key: node.key\n", "",
	 "t.yaml:1: key: required with telemetry.listen (suanlu keygen makes one)"},
	{"relative run_dir", "/run/suanlu-test", "run",
	 "t.yaml:4: run_dir: expected an absolute path of at most 92 bytes, found 'run'"},
	{"user", "user: root", "user: nobody-here",
	 "t.yaml:5: user: expected a user of this machine (adduser --system makes one), found "
	 "'nobody-here'"},
	{"steering", "nearest", "random",
	 "t.yaml:6: steering: expected optimal or nearest, found 'random'"},
	{"interval", "interval_ms: 20", "interval_ms: 9",
	 "t.yaml:7: interval_ms: expected 10..10000, found 9"},
	{"negative", "interval_ms: 20", "interval_ms: -20",
	 "t.yaml:7: interval_ms: expected 10..10000, found -20"},
	{"not a number", "interval_ms: 20", "interval_ms: 20ms",
	 "t.yaml:7: interval_ms: expected 10..10000, found 20ms"},
	{"missing interface", "ports: [lo]", "ports: [lo, nope0]",
	 "t.yaml:9: dataplane.ports[1]: expected an interface of this machine (ip link shows "
	 "them), found 'nope0'"},
	{"interface twice", "ports: [lo]", "ports: [lo, lo]",
	 "t.yaml:9: dataplane.ports[1]: 'lo' given twice"},
	{"no ports", "ports: [lo]", "ports: []",
	 "t.yaml:9: dataplane.ports: required: the interfaces to forward on"},
	{"pins", "pins: 2M", "pins: 2G",
	 "t.yaml:10: dataplane.pins: expected 1000..1000000000, found 2G"},
	{"too many pins", "pins: 2M", "pins: 1001M",
	 "t.yaml:10: dataplane.pins: expected 1000..1000000000, found 1001M"},
	{"core twice", "cores: [0]", "cores: [0, 0]",
	 "t.yaml:11: dataplane.cores[1]: 0 given twice"},
	{"bool", "busy_poll: true", "busy_poll: yes",
	 "t.yaml:12: dataplane.busy_poll: expected true or false, found 'yes'"},
	{"SID prefix", "fc00:e:0:46::/64", "fc00:e:0:46::/129",
	 "t.yaml:14: dataplane.sids[0]: expected an IPv6 PREFIX/LENGTH, found 'fc00:e:0:46::/129'"},
	{"SID host bits", "fc00:e:0:46::/64", "fc00:e:0:46::1/64",
	 "t.yaml:14: dataplane.sids[0]: expected a prefix with nothing set past its length, found "
	 "'fc00:e:0:46::1/64'"},
	{"endpoint", "[fc00:e::1]:7801", "fc00:e::1:7801",
	 "t.yaml:16: telemetry.listen: expected ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\", found "
	 "'fc00:e::1:7801'"},
	{"endpoint port", "127.0.0.1:9801", "127.0.0.1:0",
	 "t.yaml:18: metrics.listen: expected ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\", found "
	 "'127.0.0.1:0'"},
	{"service name twice", "name: dns", "name: infer",
	 "t.yaml:30: services[1].name: 'infer' is the name of services[0] too"},
	{"service without name", "  - name: dns\n    ipv4", "  - ipv4",
	 "t.yaml:30: services[1].name: required"},
	{"no service address", "  - name: dns\n    ipv4: 192.0.2.80\n", "  - name: dns\n",
	 "t.yaml:30: services[1]: needs ipv4, ipv6 or both"},
	{"IPv4 multicast", "ipv4: 192.0.2.80", "ipv4: 224.0.0.1",
	 "t.yaml:21: services[0].ipv4: expected a unicast IPv4 address, found '224.0.0.1'"},
	{"same address and port", "protocol: udp", "protocol: tcp",
	 "t.yaml:33: services[1].port: the same address, protocol and port as services[0] "
	 "('infer')"},
	{"protocol", "protocol: udp", "protocol: sctp",
	 "t.yaml:32: services[1].protocol: expected tcp or udp, found 'sctp'"},
	{"port", "    port: 80", "    port: 70000",
	 "t.yaml:24: services[0].port: expected 1..65535, found 70000"},
	{"huge port", "    port: 80", "    port: 99999999999999999999999",
	 "t.yaml:24: services[0].port: expected 1..65535, found 99999999999999999999999"},
	{"no port", "    port: 80\n    affinity: client\n", "    affinity: client\n",
	 "t.yaml:20: services[0].port: required"},
	{"affinity", "affinity: client", "affinity: sticky",
	 "t.yaml:25: services[0].affinity: expected flow, client or none, found 'sticky'"},
	{"idle", "idle_s: 60", "idle_s: 16384",
	 "t.yaml:26: services[0].idle_s: expected 1..16383, found 16384"},
	{"max delay", "max_delay_ms: 30", "max_delay_ms: inf",
	 "t.yaml:27: services[0].max_delay_ms: expected milliseconds, 0..60000, found 'inf'"},
	{"label", "requires: [ai]", "requires: [\"a i\"]",
	 "t.yaml:28: services[0].requires[0]: expected 1 to 31 of A-Z a-z 0-9 . _ -, found 'a i'"},
	{"unknown site", "sites: [c, a]", "sites: [c, d]",
	 "t.yaml:29: services[0].sites[1]: no site 'd' under sites"},
	{"site twice in a service", "sites: [c, a]", "sites: [c, c]",
	 "t.yaml:29: services[0].sites[1]: site 'c' given twice"},
	{"no sites in a service", "sites: [c, a]", "sites: []",
	 "t.yaml:29: services[0].sites: expected at least one site"},
	{"site name twice", "  - name: b", "  - name: a",
	 "t.yaml:42: sites[1].name: 'a' is the name of sites[0] too"},
	{"bad key", "key: @0", "key: abc",
	 "t.yaml:36: sites[0].key: expected a public key, 44 characters of base64 (suanlu keygen "
	 "prints it), found 'abc'"},
	{"not a key", "key: @0", "key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	 "t.yaml:36: sites[0].key: expected an Ed25519 public key, found "
	 "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='"},
	{"key used twice", "key: @1", "key: @0",
	 "t.yaml:46: sites[2].key: the same key as sites[0].key"},
	{"key of a site and an edge", "key: @2", "key: @1",
	 "t.yaml:50: edges[0].key: the same key as sites[2].key"},
	{"SID", "sid4: \"fc00:a:0:4::\"", "sid4: 10.0.0.1",
	 "t.yaml:37: sites[0].sid4: expected a unicast IPv6 address, found '10.0.0.1'"},
	{"too many segments", "sid4: \"fc00:a:0:4::\"", SEGMENTS4,
	 "t.yaml:37: sites[0].sid4: expected at most 3, found 4"},
	{"two ways", "    deliver4: 10.3.0.2", "    deliver4: 10.3.0.2\n    sid: fc00::9",
	 "t.yaml:44: sites[1].sid: the site has another way for IPv4 already"},
	{"no way for IPv4", "    sid4: \"fc00:a:0:4::\"\n", "",
	 "t.yaml:35: sites[0]: needs sid4, sid or deliver4: service 'infer' has an ipv4"},
	{"no way for IPv6", "    sid6: [fc00:9::1, \"fc00:a:0:6::\"]\n", "",
	 "t.yaml:35: sites[0]: needs sid6, sid or deliver6: service 'infer' has an ipv6"},
	{"an instance at a service's address", "deliver4: 10.3.0.2", "deliver4: 192.0.2.80",
	 "t.yaml:42: sites[1]: its way leads to the address of service 'infer', that is, back to "
	 "here: give the site's own address"},
	{"a segment at a service's address", "fc00:9::1", "\"2001:db8:80::80\"",
	 "t.yaml:35: sites[0]: its way leads to the address of service 'infer', that is, back to "
	 "here: give the site's own address"},
	{"a site in our own SIDs", "sid: fc00:c:0:46::1", "sid: fc00:e:0:46:ffff::1",
	 "t.yaml:45: sites[2]: its way leads into dataplane.sids[0], that is, back to here: give "
	 "the site's own SID"},
	{"a site in our own SIDs, bits", "[\"fc00:e:0:46::/64\"]", "[\"fc00:8::/29\"]",
	 "t.yaml:35: sites[0]: its way leads into dataplane.sids[0], that is, back to here: give "
	 "the site's own SID"},
	{"negative delay", "delay_ms: 2.5", "delay_ms: -1",
	 "t.yaml:39: sites[0].delay_ms: expected milliseconds, 0..60000, found '-1'"},
	{"delay not finite", "delay_ms: 2.5", "delay_ms: 1e999",
	 "t.yaml:39: sites[0].delay_ms: expected milliseconds, 0..60000, found '1e999'"},
	{"servers", "servers: 4", "servers: 0",
	 "t.yaml:40: sites[0].servers: expected 1..1000000, found 0"},
	{"edge is this node", "name: edge2", "name: edge1",
	 "t.yaml:49: edges[0].name: 'edge1' is this node's own name"},
	{"edge without key", "    key: @2\n", "",
	 "t.yaml:49: edges[0].key: required: the public key of that edge"},
	{"edge without address", "    address: \"192.0.2.2:7801\"\n", "",
	 "t.yaml:49: edges[0].address: required: where its telemetry.listen is"},
	{"announce: table name", "table: default", "table: nowhere",
	 "t.yaml:53: announce.table: expected a number or a name in /etc/iproute2/rt_tables, found "
	 "'nowhere'"},
	{"announce: table number", "table: default", "table: 4294967296",
	 "t.yaml:53: announce.table: expected a number or a name in /etc/iproute2/rt_tables, found "
	 "'4294967296'"},
	{"announce: the kernel's own table", "table: default", "table: local",
	 "t.yaml:53: announce.table: expected a table that a routing daemon reads (254, main), "
	 "found 'local'"},
	{"announce: table 0", "table: default", "table: 0",
	 "t.yaml:53: announce.table: expected a table that a routing daemon reads (254, main), "
	 "found '0'"},
	{"announce: metric", "metric: 7", "metric: 0",
	 "t.yaml:54: announce.metric: expected 1..4294967295, found 0"},
	{"announce: missing interface", "metric: 7", "interface: nope0",
	 "t.yaml:54: announce.interface: expected an interface of this machine (ip link shows "
	 "them), found 'nope0'"},
	{"announce: loopback", "metric: 7", "interface: lo",
	 "t.yaml:54: announce.interface: expected an interface that swallows packets (a dummy), "
	 "found the loopback 'lo'"},
	{"announce: unknown key", "metric: 7", "metrik: 7",
	 "t.yaml:54: announce.metrik: unknown key"},
	{"announce: empty", "announce:\n  table: default\n  metric: 7\n", "announce:\n",
	 "t.yaml:52: announce: empty: expected keys, or {} for all defaults"},
	{"announce: a list", "announce:\n  table: default\n  metric: 7\n", "announce: [main]\n",
	 "t.yaml:52: announce: expected keys and values, found a list"},
	{"service without any site", "    sites: [c, a]\n",
	 "  - name: x\n    ipv4: 192.0.2.1\n    port: 1\n    sites: x\n",
	 "t.yaml:32: services[1].sites: expected a list of site names"},
};

static void test_bad(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct config *c = (struct config *)&failed;
		struct config_error error = {};
		int result;

		write_changed(bad[i].from, bad[i].to);
		result = config_load("t.yaml", &c, &error);
		if (result == 0 || (void *)c != (void *)&failed ||
		    strcmp(error.text, bad[i].text) != 0) {
			print_error("%s: %d\n    is     %s\n    wanted %s\n", bad[i].what, result,
				    error.text, bad[i].text);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

static void test_files(void **state)
{
	struct config_error error;
	struct config *c;

	(void)state;
	assert_int_equal(config_load("none.yaml", &c, &error), -ENOENT);
	assert_string_equal(error.text, "none.yaml: No such file or directory");
	assert_int_equal(config_load(".", &c, &error), -EISDIR);
	assert_string_equal(error.text, ".: Is a directory");
	write_file("t.yaml", "# nothing\n", 10);
	assert_int_equal(config_load("t.yaml", &c, &error), -EINVAL);
	assert_string_equal(error.text, "t.yaml: empty: expected keys and values");
}

/* A file cut anywhere gives a configuration or a reason, never both or none. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < strlen(good); bytes++) {
		struct config_error error = {};
		struct config *c = NULL;
		int result;

		write_file("t.yaml", good, bytes);
		result = config_load("t.yaml", &c, &error);
		assert_true((result == 0) == (c != NULL));
		assert_true((result == 0) == (error.text[0] == '\0'));
		config_free(c);
	}
}

static void make_keys(void)
{
	for (unsigned i = 0; i < 4; i++) {
		uint8_t seed[crypto_sign_SEEDBYTES] = {(uint8_t)(i + 1)}, secret[64];

		crypto_sign_seed_keypair(raw_keys[i], secret, seed);
		sodium_bin2base64(keys[i], KEY_TEXT, raw_keys[i], SL_KEY_BYTES,
				  sodium_base64_VARIANT_ORIGINAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	  cmocka_unit_test(test_least),
		cmocka_unit_test(test_bad),	  cmocka_unit_test(test_files),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_announce),
	};
	char directory[] = "/tmp/test_config.XXXXXX";
	int failed;

	if (sodium_init() < 0 || !mkdtemp(directory) || chdir(directory) != 0)
		return 1;
	make_keys();
	write_file("node.key", "secret", 6);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("t.yaml");
	unlink("node.key");
	return chdir("/") != 0 || rmdir(directory) != 0 || failed;
}
