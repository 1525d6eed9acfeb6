/* SPDX-License-Identifier: BSD-3-Clause */
/* A full table of random segments against a list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "dataplane/adjacency.h"

static struct in6_addr segment(void)
{
	struct in6_addr address = {{{0xfc}}};

	for (unsigned i = 12; i < 16; i++)
		address.s6_addr[i] = (uint8_t)rand();
	return address;
}

static void test_full(void **state)
{
	static struct adjacency table;
	static struct in6_addr known[ADJACENCY_MAX];
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)atoi(text) : 8986;

	(void)state;
	print_message("SEED=%u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < ADJACENCY_MAX; i++) {
		do
			known[i] = segment();
		while (adjacency_find(&table, known[i].s6_addr));
		adjacency_add(&table, &known[i], (uint16_t)(i + 1));
		assert_int_equal(table.segments, i + 1);
	}
	for (unsigned i = 0; i < ADJACENCY_MAX; i++)
		assert_int_equal(adjacency_find(&table, known[i].s6_addr), i + 1);
	for (unsigned i = 0; i < 100000; i++) {
		struct in6_addr other = segment();
		uint16_t target = adjacency_find(&table, other.s6_addr);

		if (target)
			assert_memory_equal(&known[target - 1], &other, sizeof(other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
