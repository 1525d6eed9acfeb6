/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that knows its load, and tells one edge of it ten times a second. Built against the
 * installed library as by anyone: cc newcomer.c $(pkg-config --cflags --libs suanlu)
 *
 *	newcomer KEY_FILE EDGE EDGE_KEY
 */
#include <stdio.h>
#include <suanlu/publish.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct sl_latency latency[] = {{0.5, 0.019}, {0.99, 0.084}};
	const struct sl_metric metric = {.type = "queue_share",
					 .format = "float",
					 .unit = "none",
					 .source = "directly measured",
					 .statistics = "cur",
					 .value = 0.25};
	struct sl_load load = {.service = "infer",
			       .servers = 8,
			       .service_time_s = 0.02,
			       .service_scv = -1, /* unknown */
			       .in_flight = 5,
			       .cpu_utilisation = -1,
			       .latency = latency,
			       .latencies = 2,
			       .metric = &metric,
			       .metrics = 1};
	struct sl_publisher *publisher;

	if (argc != 4)
		return 2;
	if (sl_publisher_open(&publisher, argv[1]) < 0) {
		fprintf(stderr, "%s\n", sl_publisher_error(NULL));
		return 1;
	}
	if (sl_publisher_add(publisher, argv[2], argv[3]) < 0) {
		fprintf(stderr, "%s\n", sl_publisher_error(publisher));
		return 1;
	}
	for (;;) {
		load.arrivals += 5;
		load.completions += 5;
		if (sl_publish(publisher, &(struct sl_report){.load = &load, .loads = 1}) < 0)
			fprintf(stderr, "%s\n", sl_publisher_error(publisher)); /* it goes on */
		usleep(100000);
	}
}
