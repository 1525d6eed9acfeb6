/* SPDX-License-Identifier: BSD-3-Clause */
#include "paths.h"
#include "show.h"
#include "table.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const struct sl_paths *paths_map(const struct cli *cli)
{
	const struct sl_paths *paths;
	struct stat status;
	char file[4096];
	int fd;

	snprintf(file, sizeof(file), "%s/" SL_PATHS_FILE, cli->run_dir);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		cli_fail("%s: %s%s", file, strerror(errno),
			 errno == ENOENT ? ": does suanlu-dataplane run, and has its configuration "
					   "`probes:` or a site with a `reflector:`?"
					 : "");
		return NULL;
	}
	paths = fstat(fd, &status) == 0 && status.st_size == (off_t)sizeof(*paths)
			? mmap(NULL, sizeof(*paths), PROT_READ, MAP_SHARED, fd, 0)
			: MAP_FAILED;
	close(fd);
	if (paths == MAP_FAILED || paths->magic != SL_PATHS_MAGIC ||
	    paths->version != SL_PATHS_VERSION) {
		cli_fail("%s: not of this version: use the suanlu that belongs to the dataplane",
			 file);
		return NULL;
	}
	return paths;
}

static double ms(const int64_t *ns)
{
	int64_t value = __atomic_load_n(ns, __ATOMIC_RELAXED);

	return value > 0 ? (double)value / 1e6 : NAN;
}

static double age_ms(uint64_t at_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return at_ns ? (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6 - (double)at_ns / 1e6
		     : NAN;
}

struct path_view path_view(const struct sl_path_slot *path)
{
	const struct sl_path_delay *there = &path->way[SL_PATH_THERE];
	const struct sl_path_delay *back = &path->way[SL_PATH_BACK];
	uint64_t decided = path->sent < 64 ? path->sent : 64;
	struct path_view view = {
		.state = path->state <= SL_PATH_HELD ? sl_path_state_text[path->state] : "?",
		.basis = path->flags & SL_PATH_ONE_WAY ? "one way" : "round trip / 2",
		.there_ms = ms(&there->smoothed_ns),
		.back_ms = ms(&back->smoothed_ns),
		.least_ms = ms(&there->least_ns),
		.least_back_ms = ms(&back->least_ns),
		.now_there_ms = ms(&there->current_ns),
		.now_back_ms = ms(&back->current_ns),
		.round_trip_ms = ms(&path->round_trip.current_ns),
		.loss = decided ? __builtin_popcountll(path->recent) / (double)decided : NAN,
		.age_ms = age_ms(path->heard_ns),
		.changed_s = (double)path->changed_ns / 1e9,
		.hold_ms = (double)path->hold_ns / 1e6,
		.left_ms = path->state == SL_PATH_HELD
				   ? (double)path->hold_ns / 1e6 - age_ms(path->changed_ns)
				   : NAN,
		.sent = path->sent,
		.answered = path->answered,
		.lost_there = path->lost[SL_PATH_THERE],
		.lost_back = path->lost[SL_PATH_BACK],
		.deaths = path->deaths,
		.which_way = !(path->flags & SL_PATH_STATELESS),
	};

	view.jitter_there_ms = path->answered ? (double)there->jitter_ns / 1e6 : NAN;
	view.jitter_back_ms = path->answered ? (double)back->jitter_ns / 1e6 : NAN;
	sl_path_name_text(&path->name, view.name);
	return view;
}

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_row(const struct path_view *v)
{
	return json_pack(
		"{ss, ss, ss, so, so, so, so, so, so, so, so, so, so, so, sI, sI, so, so, sI, sf, "
		"sf}",
		"path", v->name, "state", v->state, "basis", v->basis, "there_ms",
		number(v->there_ms), "back_ms", number(v->back_ms), "now_there_ms",
		number(v->now_there_ms), "now_back_ms", number(v->now_back_ms), "least_ms",
		number(v->least_ms), "least_back_ms", number(v->least_back_ms), "round_trip_ms",
		number(v->round_trip_ms), "jitter_there_ms", number(v->jitter_there_ms),
		"jitter_back_ms", number(v->jitter_back_ms), "loss", number(v->loss), "age_ms",
		number(v->age_ms), "sent", (json_int_t)v->sent, "answered", (json_int_t)v->answered,
		"lost_there", v->which_way ? json_integer((json_int_t)v->lost_there) : json_null(),
		"lost_back", v->which_way ? json_integer((json_int_t)v->lost_back) : json_null(),
		"deaths", (json_int_t)v->deaths, "changed_s", v->changed_s, "hold_ms", v->hold_ms);
}

static void number_cell(struct table *table, double value, int decimals)
{
	if (isfinite(value))
		table_cell(table, "%.*f", decimals, value);
	else
		table_cell(table, "-");
}

static void table_row(struct table *table, const struct path_view *v)
{
	table_cell(table, "%s", v->name);
	if (v->left_ms > 0)
		table_cell(table, "%s, %.1f s yet", v->state, v->left_ms / 1e3);
	else
		table_cell(table, "%s", v->state);
	number_cell(table, v->there_ms, 3);
	number_cell(table, v->back_ms, 3);
	number_cell(table, v->least_ms, 3);
	number_cell(table, v->jitter_there_ms, 3);
	number_cell(table, v->jitter_back_ms, 3);
	number_cell(table, 100 * v->loss, 1);
	if (v->which_way) {
		table_cell(table, "%lu", (unsigned long)v->lost_there);
		table_cell(table, "%lu", (unsigned long)v->lost_back);
	} else {
		table_cell(table, "?");
		table_cell(table, "?");
	}
	number_cell(table, v->age_ms, 0);
	table_cell(table, "%lu", (unsigned long)v->deaths);
	table_cell(table, "%s", v->basis);
}

int paths_show(const struct cli *cli, bool json)
{
	static const char *const header[] = {
		"PATH",		 "STATE",   ">THERE ms",  ">BACK ms",	 ">LEAST ms",
		">JITTER there", ">back",   ">LOSS %",	  ">LOST there", ">back",
		">AGE ms",	 ">DEATHS", "DELAYS ARE", NULL};
	const struct sl_paths *paths = paths_map(cli);
	struct table table;
	json_t *list;

	if (!paths)
		return 1;
	list = json_array();
	if (!json)
		table_init(&table, header);
	for (unsigned i = 0; i < SL_PATHS_MAX; i++) {
		struct path_view view;

		if (!__atomic_load_n(&paths->path[i].used, __ATOMIC_ACQUIRE))
			continue;
		view = path_view(&paths->path[i]);
		if (json)
			json_array_append_new(list, json_row(&view));
		else
			table_row(&table, &view);
	}
	if (json) {
		json_t *all = json_pack("{sO, sI, sI, sf}", "paths", list, "unknown_answers",
					(json_int_t)paths->unknown, "answered_for_others",
					(json_int_t)paths->reflected, "spent_s",
					(double)paths->spent_ns / 1e9);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		table_print(&table);
	}
	json_decref(list);
	return 0;
}
