/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>

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
	assert_string_equal(d->port[0].name, "lo");
	assert_int_equal(d->pins, 2000000);
	assert_int_equal(d->cores, 1);
	assert_int_equal(d->core[0], 0);
	assert_true(d->busy_poll);
	assert_false(d->huge_pages);
	assert_int_equal(d->sids, 1);
	assert_memory_equal(&d->sid[0].prefix, &address, 16);
	assert_int_equal(d->sid[0].bits, 64);
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

/* One of each family, in any order, and a site by VXLAN for both families of inner packets. */
static void test_vxlan(void **state)
{
	static const char text[] = "node: t\naddress: [10.6.0.1, fc00:e::1]\n"
				   "dataplane: {ports: lo, vnis: [7, 16777215]}\n"
				   "sites: [{name: a, vni: 66051, vxlan: 10.2.1.2}]\n";
	struct config_error error;
	struct config *c = NULL;
	struct in6_addr address;

	(void)state;
	write_file("t.yaml", text, strlen(text));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(ntohl(c->address4.s_addr), 0x0a060001);
	inet_pton(AF_INET6, "fc00:e::1", &address);
	assert_memory_equal(&c->address, &address, 16);
	assert_int_equal(c->dataplane.vnis, 2);
	assert_int_equal(c->dataplane.vni[1], 16777215);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		check_segment(&c->site[0].via[f], SL_VIA_VXLAN, "::ffff:10.2.1.2", NULL);
		assert_memory_equal(c->site[0].via[f].vni, "\1\2\3", 3);
	}
	config_free(c);
}

/* Cards beside an interface. */
static void test_cards(void **state)
{
	static const char text[] = "node: t\ndataplane:\n  ports:\n    - lo\n"
				   "    - {name: up0, device: \"0000:3b:00.1\"}\n"
				   "    - {device: \"net_af_packet0,iface=x\", name: up1}\n";
	struct config_error error;
	struct config *c = NULL;

	(void)state;
	write_file("t.yaml", text, strlen(text));
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(c->dataplane.ports, 3);
	assert_string_equal(c->dataplane.port[0].device, "");
	assert_string_equal(c->dataplane.port[1].name, "up0");
	assert_string_equal(c->dataplane.port[1].device, "0000:3b:00.1");
	assert_string_equal(c->dataplane.port[2].device, "net_af_packet0,iface=x");
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
	assert_int_equal(c->interval_ms, 20);
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

static void test_bus(void **state)
{
	struct config_error error = {};
	struct config *c = NULL;

	(void)state;
	write_changed("metrics:\n", "bus: \"nats://[fc00::1]:4222\"\nmetrics:\n");
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(c->bus.servers, 1);
	assert_string_equal(c->bus.server[0], "nats://[fc00::1]:4222");
	config_free(c);

	/* on a bus no addresses of edges are needed, but names that are subjects */
	write_changed("    address: \"192.0.2.2:7801\"\n",
		      "bus:\n  servers: [\"nats://n1:4222\", \"tls://n2\"]\n  ca: node.key\n"
		      "  server_name: bus.example\n  credentials: node.key\n");
	if (config_load("t.yaml", &c, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(c->bus.servers, 2);
	assert_string_equal(c->bus.server[1], "tls://n2");
	assert_string_equal(c->bus.ca_file, "node.key");
	assert_string_equal(c->bus.server_name, "bus.example");
	assert_string_equal(c->bus.credentials_file, "node.key");
	assert_null(c->bus.certificate_file);
	assert_int_equal(c->edge[0].address.ss_family, 0);
	config_free(c);
	write_changed("edges:\n  - name: edge2\n",
		      "bus: \"nats://n1:4222\"\nedges:\n  - name: edge.\n");
	assert_int_equal(config_load("t.yaml", &c, &error), -EINVAL);
	assert_string_equal(error.text, "t.yaml:50: edges[0].name: with bus: no dot at an end or "
					"beside another");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_least),
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_announce), cmocka_unit_test(test_bus),
		cmocka_unit_test(test_vxlan),	 cmocka_unit_test(test_cards),
	};

	return run_in_directory(tests, sizeof(tests) / sizeof(*tests));
}
