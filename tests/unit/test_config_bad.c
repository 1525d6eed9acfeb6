/* SPDX-License-Identifier: BSD-3-Clause */
/* Each wrong value is refused with file, line, key and what was expected. */
#include "config_text.h"

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
	{"bad address", "address: fc00:e::1", "address: 192.0.2",
	 "t.yaml:2: address: expected a unicast IPv4 address, found '192.0.2'"},
	{"a card without a name", "ports: [lo]", "ports: [{device: \"0000:3b:00.0\"}]",
	 "t.yaml:9: dataplane.ports[0]: needs both: name (of the interface that the kernel gets) "
	 "and device (of the card)"},
	{"a card's address cut short", "ports: [lo]", "ports: [{name: up0, device: \"3b:00.0\"}]",
	 "t.yaml:9: dataplane.ports[0].device: expected a PCI address (lspci -D shows them: "
	 "0000:3b:00.0) or a virtual device of DPDK (net_...), found '3b:00.0'"},
	{"a device that ends oddly", "ports: [lo]",
	 "ports: [{name: up0, device: \"0000:3b:00.0x\"}]",
	 "t.yaml:9: dataplane.ports[0].device: expected a PCI address (lspci -D shows them: "
	 "0000:3b:00.0) or a virtual device of DPDK (net_...), found '0000:3b:00.0x'"},
	{"a card's long name", "ports: [lo]", "ports: [{name: abcdefghijklmnop, device: net_x}]",
	 "t.yaml:9: dataplane.ports[0].name: expected an interface name of at most 15 characters, "
	 "found 'abcdefghijklmnop'"},
	{"a card's name twice", "ports: [lo]",
	 "ports: [{name: up0, device: net_x}, {name: up0, device: net_y}]",
	 "t.yaml:9: dataplane.ports[1]: 'up0' given twice"},
	{"two of a family", "address: fc00:e::1", "address: [fc00:e::1, fc00:e::2]",
	 "t.yaml:2: address: expected one IPv4 and one IPv6 address"},
	{"three addresses", "address: fc00:e::1", "address: [fc00:e::1, 192.0.2.1, 192.0.2.2]",
	 "t.yaml:2: address: expected at most 2, found 3"},
	{"only IPv4, and SIDs", "address: fc00:e::1", "address: 192.0.2.1",
	 "t.yaml:2: address: required: site 'a' has a SID, and this is the outer source address"},
	{"VXLAN without IPv4", "sid: fc00:c:0:46::1", "vxlan: 10.2.3.2\n    vni: 7",
	 "t.yaml:2: address: an IPv4 address is required: site 'c' has a vxlan, and this is the "
	 "outer source address ([IPV6, IPV4] gives both)"},
	{"VXLAN without VNI", "sid: fc00:c:0:46::1", "vxlan: 10.2.3.2",
	 "t.yaml:45: sites[2]: vxlan needs a vni (1..16777215) too"},
	{"VNI without VXLAN", "sid: fc00:c:0:46::1", "sid: fc00:c:0:46::1\n    vni: 7",
	 "t.yaml:45: sites[2]: vni needs a vxlan address too"},
	{"VNI out of range", "sid: fc00:c:0:46::1", "vxlan: 10.2.3.2\n    vni: 16777216",
	 "t.yaml:48: sites[2].vni: expected 1..16777215, found 16777216"},
	{"VXLAN to IPv6", "sid: fc00:c:0:46::1", "vxlan: fc00::1\n    vni: 7",
	 "t.yaml:47: sites[2].vxlan: expected a unicast IPv4 address, found 'fc00::1'"},
	{"VXLAN and a SID", "    sid: fc00:c:0:46::1\n", "    sid: fc00::1\n    vxlan: 10.2.3.2\n",
	 "t.yaml:48: sites[2].vxlan: the site has another way for IPv4 already"},
	{"own VNIs without IPv4", "  sids:", "  vnis: [7]\n  sids:",
	 "t.yaml:2: address: an IPv4 address is required: dataplane.vnis end there"},
	{"multicast", "address: fc00:e::1", "address: ff02::1",
	 "t.yaml:2: address: expected a unicast IPv6 address, found 'ff02::1'"},
	{"multicast IPv4", "address: fc00:e::1", "address: [fc00:e::1, 224.0.0.1]",
	 "t.yaml:2: address[1]: expected a unicast IPv4 address, found '224.0.0.1'"},
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
	 "t.yaml:35: sites[0]: needs sid4, sid, vxlan or deliver4: service 'infer' has an ipv4"},
	{"no way for IPv6", "    sid6: [fc00:9::1, \"fc00:a:0:6::\"]\n", "",
	 "t.yaml:35: sites[0]: needs sid6, sid, vxlan or deliver6: service 'infer' has an ipv6"},
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
	 "t.yaml:49: edges[0].address: required: where its telemetry.listen is (not with bus)"},
	{"bus: no URL", "metrics:\n", "bus: 10.0.0.1:4222\nmetrics:\n",
	 "t.yaml:17: bus: expected nats://HOST:PORT or tls://HOST:PORT, an IPv6 address in "
	 "[brackets]"},
	{"bus: IPv6 without brackets", "metrics:\n",
	 "bus: {servers: [\"nats://h:1\", \"nats://fc00::1:4222\"]}\nmetrics:\n",
	 "t.yaml:17: bus.servers[1]: expected nats://HOST:PORT or tls://HOST:PORT, an IPv6 address "
	 "in [brackets]"},
	{"bus: port", "metrics:\n", "bus: \"nats://h:99999\"\nmetrics:\n",
	 "t.yaml:17: bus: expected nats://HOST:PORT or tls://HOST:PORT, an IPv6 address in "
	 "[brackets]"},
	{"bus: port after an address", "metrics:\n", "bus: \"tls://[fc00::1]4222\"\nmetrics:\n",
	 "t.yaml:17: bus: expected nats://HOST:PORT or tls://HOST:PORT, an IPv6 address in "
	 "[brackets]"},
	{"bus: no servers", "metrics:\n", "bus: {ca: node.key}\nmetrics:\n",
	 "t.yaml:17: bus.servers: required: nats://HOST:PORT, one or a list"},
	{"bus: empty", "metrics:\n", "bus:\nmetrics:\n",
	 "t.yaml:17: bus.servers: required: nats://HOST:PORT, one or a list"},
	{"bus: no such file", "metrics:\n",
	 "bus: {servers: \"tls://h:1\", ca: /nonexistent}\nmetrics:\n",
	 "t.yaml:17: bus.ca: cannot read '/nonexistent': No such file or directory"},
	{"bus: half a certificate", "metrics:\n",
	 "bus: {servers: \"tls://h:1\", certificate: node.key}\nmetrics:\n",
	 "t.yaml:17: bus.certificate: certificate and certificate_key want each other"},
	{"publish: no address", "metrics:\n", "publish: {key: @0}\nmetrics:\n",
	 "t.yaml:17: publish[0].to: required: ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\""},
	{"publish: no key", "metrics:\n", "publish: {to: \"10.0.0.1:7801\"}\nmetrics:\n",
	 "t.yaml:17: publish[0].key: required: the edge's public key"},
	{"publish: twice", "metrics:\n",
	 "publish: [{to: \"10.0.0.1:7801\", key: @0}, {to: \"10.0.0.1:7801\", key: "
	 "@1}]\nmetrics:\n",
	 "t.yaml:17: publish[1].to: expected another edge: given twice"},
	{"site: without a bus", "metrics:\n", "site: chengdu\nmetrics:\n",
	 "t.yaml:17: site: the name under which this site publishes on a bus, but there is no "
	 "bus"},
	{"site: no subject", "metrics:\n", "bus: \"nats://n1:4222\"\nsite: a.\nmetrics:\n",
	 "t.yaml:18: site: expected a name without a dot at its start or end"},
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

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad)};

	return run_in_directory(tests, 1);
}
