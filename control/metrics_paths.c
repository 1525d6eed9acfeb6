/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_paths.h"
#include "clock.h"
#include <math.h>

static void family(struct evbuffer *out, const char *name, const char *type, const char *unit,
		   const char *help)
{
	evbuffer_add_printf(out, "# TYPE suanlu_path_%s %s\n", name, type);
	if (unit)
		evbuffer_add_printf(out, "# UNIT suanlu_path_%s %s\n", name, unit);
	evbuffer_add_printf(out, "# HELP suanlu_path_%s %s\n", name, help);
}

/* Without a value there is no sample. */
static void sample(struct evbuffer *out, const char *name, const struct sl_path_slot *path,
		   const char *more, double value)
{
	char text[SL_PATH_NAME_TEXT];

	if (!isnan(value))
		evbuffer_add_printf(out, "suanlu_path_%s{path=\"%s\"%s} %.9g\n", name,
				    sl_path_name_text(&path->name, text), more, value);
}

static double seconds(int64_t ns)
{
	return ns > 0 ? (double)ns / 1e9 : NAN;
}

static const char *const way_label[SL_PATH_WAYS] = {",way=\"there\"", ",way=\"back\""};

static void show_delay(const struct sl_path_slot *path, struct evbuffer *out)
{
	for (unsigned w = 0; w < SL_PATH_WAYS; w++)
		sample(out, "delay_seconds", path, way_label[w], seconds(path->way[w].smoothed_ns));
}

static void show_current(const struct sl_path_slot *path, struct evbuffer *out)
{
	for (unsigned w = 0; w < SL_PATH_WAYS; w++)
		sample(out, "delay_current_seconds", path, way_label[w],
		       seconds(path->way[w].current_ns));
}

static void show_least(const struct sl_path_slot *path, struct evbuffer *out)
{
	for (unsigned w = 0; w < SL_PATH_WAYS; w++)
		sample(out, "delay_least_seconds", path, way_label[w],
		       seconds(path->way[w].least_ns));
}

static void show_jitter(const struct sl_path_slot *path, struct evbuffer *out)
{
	for (unsigned w = 0; w < SL_PATH_WAYS; w++)
		sample(out, "jitter_seconds", path, way_label[w],
		       path->answered ? (double)path->way[w].jitter_ns / 1e9 : NAN);
}

static void show_age(const struct sl_path_slot *path, struct evbuffer *out)
{
	sample(out, "age_seconds", path, "",
	       path->heard_ns ? (double)(clock_ns() - path->heard_ns) / 1e9 : NAN);
}

static void show_state(const struct sl_path_slot *path, struct evbuffer *out)
{
	char label[48];

	for (unsigned i = 0; i <= SL_PATH_HELD; i++) {
		snprintf(label, sizeof(label), ",suanlu_path_state=\"%s\"", sl_path_state_text[i]);
		sample(out, "state", path, label, path->state == i);
	}
}

static void show_sent(const struct sl_path_slot *path, struct evbuffer *out)
{
	sample(out, "probes_total", path, "", (double)path->sent);
}

static void show_lost(const struct sl_path_slot *path, struct evbuffer *out)
{
	sample(out, "probes_unanswered_total", path, "", (double)path->unanswered);
}

static void show_lost_way(const struct sl_path_slot *path, struct evbuffer *out)
{
	for (unsigned w = 0; w < SL_PATH_WAYS; w++)
		sample(out, "probes_lost", path, way_label[w],
		       path->flags & SL_PATH_STATELESS ? NAN : (double)path->lost[w]);
}

static void show_deaths(const struct sl_path_slot *path, struct evbuffer *out)
{
	sample(out, "deaths_total", path, "", (double)path->deaths);
}

void metrics_paths(const struct control *control, struct evbuffer *out)
{
	static const struct {
		const char *name, *type, *unit, *help;
		void (*show)(const struct sl_path_slot *path, struct evbuffer *out);
	} families[] = {
		{"delay_seconds", "gauge", "seconds", "Delay of a path, smoothed.", show_delay},
		{"delay_current_seconds", "gauge", "seconds", "Of the last answer.", show_current},
		{"delay_least_seconds", "gauge", "seconds", "Least of the last minutes.",
		 show_least},
		{"jitter_seconds", "gauge", "seconds", "Jitter, RFC 3550.", show_jitter},
		{"age_seconds", "gauge", "seconds", "Since the last answer.", show_age},
		{"state", "stateset", NULL, "Whether a path takes flows.", show_state},
		{"probes", "counter", NULL, "Probes sent.", show_sent},
		{"probes_unanswered", "counter", NULL, "Probes without answer.", show_lost},
		{"probes_lost", "gauge", NULL, "The same by the way they were lost on.",
		 show_lost_way},
		{"deaths", "counter", NULL, "Times that a path died.", show_deaths},
	};
	const struct sl_paths *map = control->paths.map;

	if (!map)
		return;
	family(out, "measuring_seconds", "counter", "seconds",
	       "Processor time of a worker for probes and their answers.");
	evbuffer_add_printf(out, "suanlu_path_measuring_seconds_total %.9g\n",
			    (double)map->spent_ns / 1e9);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		family(out, families[i].name, families[i].type, families[i].unit, families[i].help);
		for (unsigned k = 0; k < SL_PATHS_MAX; k++)
			if (__atomic_load_n(&map->path[k].used, __ATOMIC_ACQUIRE))
				families[i].show(&map->path[k], out);
	}
}
