/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"
#include "show.h"
#include "table.h"
#include "via.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TARGETS_EACH_MAX 64 /* route.h: in one message */
#define ANSWER_BYTES \
	(sizeof(struct sl_msg_targets) + TARGETS_EACH_MAX * sizeof(struct sl_target_state))

/* Since when it is as it is; both ends are on one machine. */
static long since_s(const struct sl_target_state *target)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return target->changes ? (long)now.tv_sec - (long)target->changed_s : -1;
}

static json_t *row(const struct sl_target_state *target)
{
	char way[256], next_hop[sizeof(target->next_hop) + 1] = {0};

	via_text(&target->via, way, sizeof(way));
	memcpy(next_hop, target->next_hop, sizeof(target->next_hop));
	return json_pack("{ss, sb, si, sI, sI, sI, ss}", "way", way, "resolved",
			 target->resolved != 0, "mtu_bytes", (int)target->mtu_bytes, "references",
			 (json_int_t)target->references, "changes", (json_int_t)target->changes,
			 "since_s", (json_int_t)since_s(target), "next_hop", next_hop);
}

static int collect(int fd, json_t *list, struct ask_error *error)
{
	struct sl_msg_targets *answer = malloc(ANSWER_BYTES);
	uint32_t seen = 0, total = 0;
	int status = -1;

	while (answer) {
		long got = ask_receive(fd, answer, ANSWER_BYTES, SL_MSG_TARGETS, sizeof(*answer),
				       error);
		if (got < 0)
			break;
		if (answer->targets > TARGETS_EACH_MAX ||
		    (size_t)got !=
			    sizeof(*answer) + answer->targets * sizeof(struct sl_target_state)) {
			snprintf(error->text, sizeof(error->text),
				 "suanlu-dataplane's answer is cut short, or of another version");
			break;
		}
		for (uint32_t i = 0; i < answer->targets; i++)
			json_array_append_new(list, row(&answer->target[i]));
		total = answer->total;
		seen += answer->targets;
		if (seen >= total || answer->targets == 0) {
			status = 0;
			break;
		}
	}
	free(answer);
	return status;
}

static void print(const json_t *list)
{
	static const char *const header[] = {"WAY",	 "RESOLVED", ">MTU bytes", ">MEMBERS",
					     ">CHANGES", ">SINCE",   "NEXT HOP",   NULL};
	struct table table;
	json_t *one;
	size_t i;

	table_init(&table, header);
	json_array_foreach (list, i, one) {
		json_int_t since_s = json_integer_value(json_object_get(one, "since_s"));

		table_text(&table, one, "way");
		table_cell(&table, json_is_true(json_object_get(one, "resolved")) ? "yes" : "no");
		table_number(&table, one, "mtu_bytes", 1, 0);
		table_number(&table, one, "references", 1, 0);
		table_number(&table, one, "changes", 1, 0);
		if (since_s < 0)
			table_cell(&table, "-");
		else
			table_cell(&table, "%" JSON_INTEGER_FORMAT " s", since_s);
		table_text(&table, one, "next_hop");
	}
	table_print(&table);
}

int neighbours_show(const struct cli *cli, bool json)
{
	struct sl_msg_header question = {.version = SL_ROUTE_VERSION,
					 .type = SL_MSG_STATE,
					 .bytes = sizeof(question),
					 .generation = 1};
	struct ask_error error;

	int fd = ask_dataplane(cli->run_dir, &error);
	if (fd < 0)
		return cli_fail("%s", error.text);
	json_t *all = json_pack("{s[]}", "neighbours"), *list = json_object_get(all, "neighbours");
	int status = ask_send(fd, &question, sizeof(question), &error);
	if (status == 0)
		status = collect(fd, list, &error);
	close(fd);
	if (status == 0 && json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (status == 0) {
		print(list);
	}
	json_decref(all);
	return status == 0 ? 0 : cli_fail("%s", error.text);
}
