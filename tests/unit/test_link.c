/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer here speaks the bytes of suanlu/route.h itself, on a real SEQPACKET socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/clock.h"
#include "control/link.h"

#define WAIT_S 3

#define NONE ((struct reaction_cause){})

static struct config_site sites[] = {
	{.name = "a",
	 .via = {{.kind = SL_VIA_SRV6, .segments = 1, .segment = {{{{0xfc, 1}}}}},
		 {.kind = SL_VIA_L2, .segments = 1, .segment = {{{{0xfc, 2}}}}}}},
	{.name = "b"},
};
static unsigned members[] = {1, 0};
static struct config_service services[] = {
	{.name = "infer",
	 .ipv4 = {0x500200c0},
	 .port = 80,
	 .protocol = IPPROTO_TCP,
	 .affinity = SL_AFFINITY_CLIENT,
	 .idle_s = 60,
	 .site = members,
	 .sites = 2},
	{.name = "dns",
	 .port = 53,
	 .protocol = IPPROTO_UDP,
	 .idle_s = 1,
	 .site = members,
	 .sites = 1},
};
static struct sl_sid sids[] = {{.prefix = {{{0xfc, 3}}}, .bits = 64}};
static struct config config = {.address = {{{0xfc, 9}}},
			       .dataplane = {.sid = sids, .sids = 1},
			       .site = sites,
			       .sites = 2,
			       .service = services,
			       .services = 2};

static struct event_base *base;
static struct link control;
static int listening, peer;

union message {
	struct sl_msg_header header;
	struct sl_msg_node node;
	struct sl_msg_service service;
	char bytes[65536];
};

static int listen_here(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dataplane.sock", config.run_dir);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	usleep(200);
}

static int accept_here(void)
{
	double until_s = clock_s() + WAIT_S;
	int fd;

	do {
		turn();
		fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	} while (fd < 0 && clock_s() < until_s);
	assert_true(fd >= 0);
	return fd;
}

static ssize_t receive(union message *message)
{
	double until_s = clock_s() + WAIT_S;
	ssize_t bytes;

	do {
		turn();
		bytes = recv(peer, message, sizeof(*message), 0);
	} while (bytes < 0 && errno == EAGAIN && clock_s() < until_s);
	return bytes;
}

static uint64_t expect(enum sl_msg_type type, union message *message)
{
	ssize_t bytes = receive(message);

	assert_true(bytes >= (ssize_t)sizeof(message->header));
	assert_int_equal(message->header.type, type);
	assert_int_equal(message->header.version, SL_ROUTE_VERSION);
	assert_int_equal(message->header.bytes, bytes);
	return message->header.generation;
}

static void expect_nothing(void)
{
	union message message;

	for (unsigned i = 0; i < 20; i++)
		turn();
	assert_true(recv(peer, &message, sizeof(message), 0) < 0 && errno == EAGAIN);
}

static void acknowledge(uint64_t generation, enum sl_ack_status status)
{
	struct sl_msg_ack ack = {.header = {SL_ROUTE_VERSION, SL_MSG_ACK, sizeof(ack), generation},
				 .status = status,
				 .field = "port"};

	assert_int_equal(send(peer, &ack, sizeof(ack), 0), sizeof(ack));
	for (unsigned i = 0; i < 5; i++)
		turn();
}

/* Takes a full update; the node and both services are answered. */
static void take_messages(union message *infer)
{
	union message message;
	uint64_t hello, node, first, second;

	hello = expect(SL_MSG_HELLO, &message);
	node = expect(SL_MSG_NODE, &message);
	assert_int_equal(message.header.bytes, sizeof(message.node));
	assert_memory_equal(&message.node.address, &config.address, sizeof(config.address));
	assert_int_equal(message.node.sids, 1);
	assert_memory_equal(&message.node.sid[0], &sids[0], sizeof(sids));
	first = expect(SL_MSG_SERVICE, infer);
	second = expect(SL_MSG_SERVICE, &message);
	assert_string_equal(message.service.service, "dns");
	assert_true(hello < node && node < first && first < second);
	assert_true(expect(SL_MSG_SYNC, &message) > second);
	acknowledge(node, SL_ACK_DONE);
	acknowledge(first, SL_ACK_DONE);
	acknowledge(second, SL_ACK_DONE);
}

static void take_update(union message *infer)
{
	peer = accept_here();
	take_messages(infer);
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	listening = listen_here();
	peer = -1;
	return link_open(&control, base, &config);
}

static int tear_down(void **state)
{
	(void)state;
	link_close(&control);
	event_base_free(base);
	close(peer);
	close(listening);
	return 0;
}

static void test_full_update(void **state)
{
	union message infer;
	const struct sl_msg_service *s = &infer.service;

	(void)state;
	link_set(&control, 0, (uint32_t[]){300000, 700000}, NONE);
	link_start(&control);
	take_update(&infer);
	assert_int_equal(s->header.bytes, sizeof(*s) + 2 * sizeof(struct sl_candidate));
	assert_string_equal(s->service, "infer");
	assert_int_equal(s->ipv4.s_addr, 0x500200c0);
	assert_int_equal(s->port, 80);
	assert_int_equal(s->protocol, IPPROTO_TCP);
	assert_int_equal(s->affinity, SL_AFFINITY_CLIENT);
	assert_int_equal(s->idle_s, 60);
	assert_int_equal(s->candidates, 2);
	assert_string_equal(s->candidate[0].site, "b");
	assert_int_equal(s->candidate[0].weight, 300000);
	assert_string_equal(s->candidate[1].site, "a");
	assert_int_equal(s->candidate[1].weight, 700000);
	assert_memory_equal(s->candidate[1].via, sites[0].via, sizeof(sites[0].via));
	assert_int_equal(control.service[0].acknowledged, control.service[0].generation);
	assert_int_equal(control.acknowledged, 2);
}

static void expect_path(enum sl_msg_type type, const char *end)
{
	union message message;

	expect(type, &message);
	assert_string_equal(((struct sl_msg_path *)&message)->name.end, end);
}

/* Paths go before services, new ones at once, and again to another dataplane. */
static void test_paths(void **state)
{
	struct sl_msg_path a = {.name = {.end = "a"}}, b = {.name = {.end = "b"}};
	union message message;

	(void)state;
	assert_int_equal(link_path(&control, &a), 0);
	link_start(&control);
	peer = accept_here();
	expect(SL_MSG_HELLO, &message);
	expect(SL_MSG_NODE, &message);
	expect_path(SL_MSG_PATH, "a");
	expect(SL_MSG_SERVICE, &message);
	expect(SL_MSG_SERVICE, &message);
	expect(SL_MSG_SYNC, &message);
	assert_int_equal(link_path(&control, &b), 0);
	expect_path(SL_MSG_PATH, "b");
	link_path_end(&control, &a.name);
	expect_path(SL_MSG_PATH_END, "a");
	expect_nothing();
	close(peer);
	peer = accept_here();
	expect(SL_MSG_HELLO, &message);
	expect(SL_MSG_NODE, &message);
	expect_path(SL_MSG_PATH, "b");
	expect(SL_MSG_SERVICE, &message);
}

static void test_one_unanswered(void **state)
{
	union message message;
	uint64_t first, second;

	(void)state;
	link_start(&control);
	take_update(&message);
	link_set(&control, 0, (uint32_t[]){1, 1},
		 (struct reaction_cause){clock_ns() - 5000000, clock_ns() - 9000000});
	first = expect(SL_MSG_SERVICE, &message);
	link_set(&control, 0, (uint32_t[]){2, 2}, NONE);
	link_set(&control, 0, (uint32_t[]){3, 3}, NONE);
	expect_nothing();
	acknowledge(first, SL_ACK_DONE);
	assert_int_equal(control.reaction.count, 1);
	assert_true(control.reaction.sum_ns >= 5000000);
	second = expect(SL_MSG_SERVICE, &message);
	assert_int_equal(message.service.candidate[0].weight, 3);
	assert_true(second > first);
	acknowledge(second, SL_ACK_DONE);
	expect_nothing();
	assert_int_equal(control.reaction.count, 1); /* the second had no report behind it */
}

static void test_refused(void **state)
{
	union message message;
	uint64_t generation;

	(void)state;
	link_start(&control);
	take_update(&message);
	link_set(&control, 1, (uint32_t[]){5}, NONE);
	generation = expect(SL_MSG_SERVICE, &message);
	acknowledge(generation, SL_ACK_FIELD);
	expect_nothing();
	assert_int_equal(control.refused, 1);
	assert_true(control.service[1].acknowledged < generation);
	link_set(&control, 1, (uint32_t[]){6}, NONE);
	generation = expect(SL_MSG_SERVICE, &message);
	acknowledge(generation, SL_ACK_DONE);
	assert_int_equal(control.service[1].acknowledged, generation);
}

static void test_reconnect(void **state)
{
	union message message;
	uint64_t before;
	double from_s = clock_s();

	(void)state;
	close(listening);
	unlink(control.address.sun_path);
	link_start(&control);
	while (clock_s() < from_s + 1.6)
		turn();
	assert_false(link_is_up(&control));
	listening = listen_here();
	take_update(&message);
	assert_true(clock_s() < from_s + 2.4); /* without a cap on the pauses: 2.55 */
	link_set(&control, 0, (uint32_t[]){1, 1}, NONE);
	before = expect(SL_MSG_SERVICE, &message);
	close(peer); /* before it is answered */
	link_set(&control, 0, (uint32_t[]){7, 8}, NONE);
	take_update(&message);
	assert_int_equal(message.service.candidate[0].weight, 7);
	assert_true(message.service.header.generation > before);
	assert_int_equal(control.connects, 2);
}

/* What is no answer to us ends the connection, and a new one follows. */
static void test_nonsense(void **state)
{
	static const struct {
		const char *what;
		uint16_t version, type;
		uint32_t bytes, sent;
	} nonsense[] = {
		{"unknown generation", SL_ROUTE_VERSION, SL_MSG_ACK, sizeof(struct sl_msg_ack),
		 sizeof(struct sl_msg_ack)},
		{"version", 9, SL_MSG_ACK, sizeof(struct sl_msg_ack), sizeof(struct sl_msg_ack)},
		{"type", SL_ROUTE_VERSION, SL_MSG_HELLO, sizeof(struct sl_msg_ack),
		 sizeof(struct sl_msg_ack)},
		{"length field", SL_ROUTE_VERSION, SL_MSG_ACK, 9, sizeof(struct sl_msg_ack)},
		{"short", SL_ROUTE_VERSION, SL_MSG_ACK, 20, 20},
		{"shorter than a header", SL_ROUTE_VERSION, SL_MSG_ACK, 7, 7},
	};
	union message message;

	(void)state;
	link_start(&control);
	take_update(&message);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
		struct sl_msg_ack ack = {
			.header = {nonsense[i].version, nonsense[i].type, nonsense[i].bytes, 4711}};

		print_message("%s\n", nonsense[i].what);
		link_set(&control, 0, (uint32_t[]){1, 1}, NONE);
		if (i == 0)
			expect(SL_MSG_SERVICE, &message);
		else /* all else is right */
			ack.header.generation = expect(SL_MSG_SERVICE, &message);
		assert_int_equal(send(peer, &ack, nonsense[i].sent, 0), nonsense[i].sent);
		assert_int_equal(receive(&message), 0);
		close(peer);
		take_update(&message);
	}
}

/* Answers to the old configuration may come later; the new one goes out at once and whole. */
static void test_reload(void **state)
{
	static struct config_service changed[2];
	static struct config other;
	union message message;
	struct link next;
	uint64_t old;

	(void)state;
	link_start(&control);
	take_update(&message);
	link_set(&control, 1, (uint32_t[]){5}, NONE);
	old = expect(SL_MSG_SERVICE, &message);
	memcpy(changed, services, sizeof(changed));
	other = config;
	other.service = changed;
	strcpy(changed[0].name, "chat");
	assert_int_equal(link_open(&next, base, &other), 0);
	link_set(&next, 0, (uint32_t[]){8, 9}, NONE);
	link_reload(&control, &next);
	assert_ptr_equal(next.config, &config);
	link_close(&next);
	acknowledge(old, SL_ACK_DONE);
	assert_int_equal(control.service[1].acknowledged, 0);
	take_messages(&message);
	assert_string_equal(message.service.service, "chat");
	assert_int_equal(message.service.candidate[1].weight, 9);
	assert_int_equal(control.service[0].acknowledged, control.service[0].generation);
	expect_nothing();
	assert_int_equal(control.connects, 1);
}

/* Before there is a dataplane, only what it will be told changes. */
static void test_reload_down(void **state)
{
	union message message;
	struct link next;

	(void)state;
	assert_int_equal(link_open(&next, base, &config), 0);
	link_set(&next, 0, (uint32_t[]){8, 9}, NONE);
	link_reload(&control, &next);
	link_close(&next);
	link_start(&control);
	take_update(&message);
	assert_int_equal(message.service.candidate[0].weight, 8);
}

static void test_node_refused(void **state)
{
	union message message;

	(void)state;
	link_start(&control);
	peer = accept_here();
	expect(SL_MSG_HELLO, &message);
	acknowledge(expect(SL_MSG_NODE, &message), SL_ACK_FIELD);
	assert_int_equal(control.refused, 1);
	expect(SL_MSG_SERVICE, &message); /* the rest is not held up */
	assert_true(link_is_up(&control));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full_update, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_unanswered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reconnect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reload_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_node_refused, set_up, tear_down),
	};
	char directory[] = "/tmp/test_link.XXXXXX", path[64];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	config.run_dir = directory;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/dataplane.sock", directory);
	unlink(path);
	return rmdir(directory) != 0 || failed;
}
