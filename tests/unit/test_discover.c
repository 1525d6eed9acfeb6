/* SPDX-License-Identifier: BSD-3-Clause */
/* Approvals, and announcements within and beyond them, from strangers and from known sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/discover.h"
#include "control/telemetry/codec.h"
#include <arpa/inet.h>
#include <errno.h>

#define NOW_US 1700000000000000ull
#define NOW_S 1000.0

static struct key operator, other, site, twin;

static struct in6_addr ip6(const char *text)
{
	struct in6_addr address;

	assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

static struct approval good(void)
{
	struct approval approval = {.site = "a",
				    .servers = 8,
				    .service = {"infer"},
				    .services = 1,
				    .prefix = ip6("fc00:a::"),
				    .prefix_bits = 33};

	memcpy(approval.key, site.public, sizeof(approval.key));
	return approval;
}

static void opens_what_was_signed(void **state)
{
	struct approval from = good(), to;
	uint8_t data[APPROVAL_BYTES_MAX], again[APPROVAL_BYTES_MAX], by[KEY_PUBLIC_BYTES];
	char text[APPROVAL_TEXT_MAX];
	int bytes = approval_sign(&from, &operator, data);

	(void)state;
	assert_true(bytes > 0);
	assert_int_equal(approval_open(data, (size_t)bytes, &to), 0);
	assert_string_equal(to.site, "a");
	assert_memory_equal(to.key, site.public, sizeof(to.key));
	assert_memory_equal(to.by, operator.public, sizeof(to.by));
	assert_int_equal(to.servers, 8);
	assert_true(approval_allows_service(&to, "infer"));
	assert_false(approval_allows_service(&to, "infe"));
	assert_int_equal(approval_signer(data, (size_t)bytes, by), 0);
	assert_memory_equal(by, operator.public, sizeof(by));

	approval_print(data, (size_t)bytes, text);
	assert_int_equal(approval_scan(text, again), bytes);
	assert_memory_equal(again, data, (size_t)bytes);
	assert_int_equal(approval_scan("# x\nsuanlu-approval-1 AAAA\nmore", again), 3);
	assert_int_equal(approval_scan("suanlu-approval-2 AAAA", again), -EINVAL);
	assert_int_equal(approval_scan("suanlu-approval-1 ", again), -EINVAL);
	assert_int_equal(approval_scan("suanlu-approval-1 A*", again), -EINVAL);

	to.services = 0;
	assert_true(approval_allows_service(&to, "anything"));
}

static void refuses_every_change(void **state)
{
	struct approval from = good(), to = {.servers = 42};
	uint8_t data[APPROVAL_BYTES_MAX];
	size_t bytes = (size_t)approval_sign(&from, &operator, data);

	(void)state;
	for (size_t cut = 0; cut < bytes; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, data, cut);
		assert_true(approval_open(copy, cut, &to) < 0);
		free(copy);
	}
	for (size_t at = 0; at < bytes; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			data[at] ^= (uint8_t)(1 << bit);
			assert_true(approval_open(data, bytes, &to) < 0);
			data[at] ^= (uint8_t)(1 << bit);
		}
	assert_int_equal(to.servers, 42);
}

static void signs_nothing_out_of_range(void **state)
{
	static const struct {
		const char *what, *site;
		uint32_t servers;
		unsigned bits, services;
	} bad[] = {
		{"no site", "", 8, 32, 1},     {"site", "a..b", 8, 32, 1},
		{"no servers", "a", 0, 32, 1}, {"servers", "a", 1000001, 32, 1},
		{"no prefix", "a", 8, 0, 1},   {"prefix", "a", 8, 129, 1},
		{"services", "a", 8, 32, 17},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct approval approval = good();
		uint8_t data[APPROVAL_BYTES_MAX];

		strcpy(approval.site, bad[i].site);
		approval.servers = bad[i].servers;
		approval.prefix_bits = bad[i].bits;
		approval.services = bad[i].services;
		if (approval_sign(&approval, &operator, data) != -EINVAL)
			fail_msg("%s", bad[i].what);
	}
}

static void prefix_to_the_bit(void **state)
{
	struct approval approval = good();
	struct in6_addr in = ip6("fc00:a:7fff::1"), out = ip6("fc00:a:8000::1");

	(void)state;
	assert_true(approval_allows_sid(&approval, &in));
	assert_false(approval_allows_sid(&approval, &out));
	approval.prefix = in;
	approval.prefix_bits = 128;
	assert_true(approval_allows_sid(&approval, &in));
	in.s6_addr[15] ^= 1;
	assert_false(approval_allows_sid(&approval, &in));
}

/* --- announcements -------------------------------------------------------------------------- */

struct said {
	const char *site, *sid, *service[3];
	uint64_t measured_us;
	const struct key *by, *key;
	uint64_t expires_us;
	unsigned prefix_bits; /* from the SID on; 0: as it should be */
};

static size_t announce(const struct said *said, uint8_t *data)
{
	Suanlu__Report report = SUANLU__REPORT__INIT;
	Suanlu__Announcement announcement = SUANLU__ANNOUNCEMENT__INIT;
	Suanlu__Offer offer[3], *offers[3];
	struct approval approval = good();
	struct in6_addr sid = ip6(said->sid);
	uint8_t bytes[APPROVAL_BYTES_MAX];
	int length;

	approval.expires_us = said->expires_us;
	if (said->prefix_bits) {
		approval.prefix = sid;
		approval.prefix_bits = said->prefix_bits;
	}
	length = approval_sign(&approval, said->by, bytes);
	assert_true(length > 0);
	announcement.site = (char *)said->site;
	announcement.sid4 = (ProtobufCBinaryData){16, sid.s6_addr};
	announcement.approval = (ProtobufCBinaryData){(size_t)length, bytes};
	announcement.offer = offers;
	for (; announcement.n_offer < 3 && said->service[announcement.n_offer];
	     announcement.n_offer++) {
		size_t i = announcement.n_offer;

		suanlu__offer__init(&offer[i]);
		offer[i].service = (char *)said->service[i];
		offer[i].servers = 64;
		offers[i] = &offer[i];
	}
	report.sequence = said->measured_us;
	report.measured_at_us = said->measured_us;
	report.valid_for_ms = 10000;
	report.announcement = &announcement;
	length = codec_sign(said->key, &report, data);
	assert_true(length > 0);
	return (size_t)length;
}

static struct config_operator operators[] = {{.name = "telco", .delay_s = 0.003}};
static struct config_site sites[] = {{.name = "known"}};
static unsigned first[] = {0};
static struct config_service services[] = {
	{.name = "infer", .ipv4 = {1}, .port = 80, .site = first, .sites = 1},
	{.name = "batch",
	 .ipv6 = {{{0x20, 1, 0xd, 0xb8, 0, 0x80, [15] = 0x80}}},
	 .port = 80,
	 .site = first,
	 .sites = 1},
	{.name = "stream", .ipv4 = {1}, .port = 81, .site = first, .sites = 1},
};
static struct sl_sid own_sid = {.prefix = {{{0xfc, 0, 0, 0xe, 0, 0x46}}}, .bits = 48};
static struct config config = {.operator= operators,
			       .operators = 1,
			       .site = sites,
			       .sites = 1,
			       .service = services,
			       .services = 3,
			       .address = {{{0xfc, 0, 0, 0xe, [15] = 1}}},
			       .dataplane = {.sid = &own_sid, .sids = 1}};

static void judges_strangers(void **state)
{
	const struct said fine = {
		"a", "fc00:a:0:4::", {"infer", "stream"}, NOW_US, &operator, & site, 0, 0};
	struct {
		const char *what;
		struct said said;
		const char *subject;
		enum discover_result result;
	} test[] = {
		{"fine", fine, NULL, DISCOVER_TAKEN},
		{"on its subject", fine, "a", DISCOVER_TAKEN},
		{"on another's subject", fine, "b", DISCOVER_NAME},
		{"another operator", fine, NULL, DISCOVER_UNAPPROVED},
		{"another's key", fine, NULL, DISCOVER_NAME},
		{"another name than approved", fine, NULL, DISCOVER_NAME},
		{"SID outside", fine, NULL, DISCOVER_SID},
		{"old", fine, NULL, DISCOVER_EXPIRED},
		{"of the future", fine, NULL, DISCOVER_EXPIRED},
		{"approval over", fine, NULL, DISCOVER_EXPIRED},
		{"approval not over", fine, NULL, DISCOVER_TAKEN},
		{"service twice", fine, NULL, DISCOVER_FORGED},
		{"group as SID", fine, NULL, DISCOVER_SID},
		{"loopback as SID", fine, NULL, DISCOVER_SID},
		{"no address as SID", fine, NULL, DISCOVER_SID},
		{"an IPv4 address as SID", fine, NULL, DISCOVER_SID},
		{"a service's address as SID", fine, NULL, DISCOVER_SID},
		{"this node's address as SID", fine, NULL, DISCOVER_SID},
		{"this node's SID", fine, NULL, DISCOVER_SID},
	};
	static const char *const here[] = {
		"ff02::1",	   "::1",	"::",	       "::ffff:10.0.0.1",
		"2001:db8:80::80", "fc00:e::1", "fc00:e:46::7"};
	struct state known = {.config = &config};

	(void)state;
	test[3].said.by = &other;
	test[4].said.key = &twin;
	test[5].said.site = "b";
	test[6].said.sid = "fc00:b:0:4::";
	test[7].said.measured_us = NOW_US - 10000001;
	test[8].said.measured_us = NOW_US + 1000001;
	test[9].said.expires_us = NOW_US - 1;
	test[10].said.expires_us = NOW_US + 1;
	test[11].said.service[1] = "infer";
	for (size_t i = 0; i < sizeof(here) / sizeof(*here); i++) {
		test[12 + i].said.sid = here[i];
		test[12 + i].said.prefix_bits = 1;
	}
	for (size_t i = 0; i < sizeof(test) / sizeof(*test); i++) {
		uint8_t data[CODEC_DATAGRAM_MAX], *copy;
		struct discover discover;
		size_t bytes = announce(&test[i].said, data);

		discover_open(&discover, &known);
		copy = malloc(bytes);
		memcpy(copy, data, bytes);
		discover_stranger(&discover, copy, bytes, test[i].subject, "here", NOW_US, NOW_S);
		free(copy);
		if (discover.count[test[i].result] != 1)
			fail_msg("%s: not %s", test[i].what, discover_result_text(test[i].result));
		assert_int_equal(discover.sites, test[i].result == DISCOVER_TAKEN);
		discover_close(&discover);
	}
}

static void refuses_every_bit(void **state)
{
	const struct said fine = {"a", "fc00:a:0:4::", {"infer"}, NOW_US, &operator, & site, 0, 0};
	uint8_t data[CODEC_DATAGRAM_MAX];
	size_t bytes = announce(&fine, data);
	struct state known = {.config = &config};
	struct discover discover;

	(void)state;
	discover_open(&discover, &known);
	for (size_t at = sizeof(struct codec_header); at < bytes; at++) {
		uint64_t now_us = NOW_US + 10000 * at; /* at the pace of strangers */

		data[at] ^= 4;
		discover_stranger(&discover, data, bytes, NULL, "here", now_us, NOW_S);
		data[at] ^= 4;
	}
	assert_int_equal(discover.count[DISCOVER_TAKEN], 0);
	/* and a flood of what looks right costs no more than its pace */
	data[bytes - 1] ^= 1;
	for (unsigned i = 0; i < 1000; i++)
		discover_stranger(&discover, data, bytes, NULL, "here", NOW_US, NOW_S);
	assert_true(discover.count[DISCOVER_FULL] >= 700);
	discover_close(&discover);
}

static void merges_within_bounds(void **state)
{
	const struct said fine = {
		"a", "fc00:a:0:4::", {"infer", "stream"}, NOW_US, &operator, & site, 0, 0};
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct state known = {.config = &config};
	struct discover discover;
	struct config *copy;

	(void)state;
	discover_open(&discover, &known);
	discover_stranger(&discover, data, announce(&fine, data), NULL, "here", NOW_US, NOW_S);
	assert_int_equal(discover.denied, 1);
	assert_true(discover_step(&discover, NOW_US, NOW_S));
	copy = config_copy(&config);
	assert_int_equal(discover_merge(&discover, copy, NOW_S), 0);
	assert_int_equal(copy->sites, 2);
	assert_true(copy->site[1].discovered && copy->site[1].has_key);
	assert_int_equal(copy->site[1].servers, 8); /* not 64 */
	assert_true(copy->site[1].delay_s == 0.003);
	assert_int_equal(copy->service[0].sites, 2);
	assert_int_equal(copy->service[0].site[1], 1);
	assert_int_equal(copy->service[2].sites, 1); /* not approved */
	assert_false(discover_step(&discover, NOW_US, NOW_S));

	/* a copy of that is the file's again, and a name that the file has cannot be announced */
	known.config = copy;
	struct config *plain = config_copy(copy);
	assert_int_equal(plain->sites, 1);
	assert_int_equal(plain->service[0].sites, 1);
	config_free(plain);
	known.config = &config;
	config_free(copy);

	/* over with its validity */
	assert_false(discover_step(&discover, NOW_US, NOW_S + 9.9));
	assert_true(discover_step(&discover, NOW_US, NOW_S + 10.1));
	assert_int_equal(discover.sites, 0);
	strcpy(sites[0].name, "a");
	discover_stranger(&discover, data, announce(&fine, data), NULL, "here", NOW_US, NOW_S);
	assert_int_equal(discover.count[DISCOVER_NAME], 1);
	strcpy(sites[0].name, "known");
	discover_close(&discover);
}

static void gives_way_to_the_file(void **state)
{
	const struct said fine = {"a", "fc00:a:0:4::", {"infer"}, NOW_US, &operator, & site, 0, 0};
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct state known = {.config = &config};
	struct discover discover;
	struct config *copy;

	(void)state;
	discover_open(&discover, &known);
	discover_stranger(&discover, data, announce(&fine, data), NULL, "here", NOW_US, NOW_S);
	assert_int_equal(discover.sites, 1);
	for (unsigned i = 0; i < 3; i++) {
		copy = config_copy(&config);
		if (i == 0)
			strcpy(copy->site[0].name, "a");
		else if (i == 1)
			memcpy(copy->site[0].key, site.public, sizeof(site.public));
		else
			memcpy(copy->operator[0].key, other.public, sizeof(other.public));
		assert_int_equal(discover_merge(&discover, copy, NOW_S), 0);
		assert_int_equal(copy->sites, 1);
		assert_int_equal(copy->service[0].sites, 1);
		/* once that is in force it is forgotten */
		known.config = copy;
		if (i == 2) {
			assert_true(discover_step(&discover, NOW_US, NOW_S + 1));
			assert_int_equal(discover.sites, 0);
		}
		known.config = &config;
		config_free(copy);
	}
	discover_close(&discover);
}

/* A service that has as many sites as it may have goes on with them. */
static void leaves_out_what_has_no_room(void **state)
{
	const struct said fine = {"a", "fc00:a:0:4::", {"infer"}, NOW_US, &operator, & site, 0, 0};
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct state known = {.config = &config};
	struct discover discover;
	struct config *copy = config_copy(&config);

	(void)state;
	discover_open(&discover, &known);
	discover_stranger(&discover, data, announce(&fine, data), NULL, "here", NOW_US, NOW_S);
	free(copy->service[0].site);
	copy->service[0].sites = SL_CANDIDATES_MAX;
	copy->service[0].site = calloc(SL_CANDIDATES_MAX, sizeof(unsigned));
	assert_int_equal(discover_merge(&discover, copy, NOW_S), 0);
	assert_int_equal(copy->service[0].sites, SL_CANDIDATES_MAX);
	assert_true(discover.told_full);
	config_free(copy);
	copy = config_copy(&config);
	assert_int_equal(discover_merge(&discover, copy, NOW_S), 0);
	assert_int_equal(copy->service[0].sites, 2);
	assert_false(discover.told_full);
	config_free(copy);
	discover_close(&discover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_was_signed),
		cmocka_unit_test(refuses_every_change),
		cmocka_unit_test(signs_nothing_out_of_range),
		cmocka_unit_test(prefix_to_the_bit),
		cmocka_unit_test(judges_strangers),
		cmocka_unit_test(refuses_every_bit),
		cmocka_unit_test(merges_within_bounds),
		cmocka_unit_test(gives_way_to_the_file),
		cmocka_unit_test(leaves_out_what_has_no_room),
	};

	if (sodium_init() < 0)
		return 1;
	for (unsigned i = 0; i < 4; i++) {
		struct key *key = (struct key *[]){&operator, & other, &site, &twin}[i];

		crypto_sign_keypair(key->public, key->secret);
	}
	memcpy(operators[0].key, operator.public, sizeof(operators[0].key));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
