/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenario.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2023-11-16 18:17:03.9799600,4808,10: only the time of day counts, a trace is of one day. */
static bool parse_line(const char *line, double *at_s, double *context, double *generated)
{
	int hours, minutes, used = 0;
	double seconds;

	if (sscanf(line, "%*d-%*d-%*d %d:%d:%lf,%lf,%lf%n", &hours, &minutes, &seconds, context,
		   generated, &used) != 5 ||
	    used == 0)
		return false;
	*at_s = hours * 3600 + minutes * 60 + seconds;
	return *context >= 0 && *generated >= 0;
}

static bool grow(struct scenario_trace *trace, unsigned *room)
{
	if (trace->count < *room)
		return true;
	*room = *room ? 2 * *room : 4096;
	double *at_s = reallocarray(trace->at_s, *room, sizeof(double));
	trace->at_s = at_s ?: trace->at_s;
	double *work = reallocarray(trace->work, *room, sizeof(double));
	trace->work = work ?: trace->work;
	return at_s && work;
}

static int read_trace(const struct scenario *scenario, struct scenario_trace *trace, FILE *stream,
		      const char *file, struct config_error *error)
{
	char line[256];
	unsigned number = 0, room = 0;

	while (fgets(line, sizeof(line), stream)) {
		double at_s, context, generated;

		if (++number == 1) /* the names of the columns */
			continue;
		if (!parse_line(line, &at_s, &context, &generated) ||
		    (trace->count > 0 && at_s < trace->at_s[trace->count - 1])) {
			snprintf(error->text, sizeof(error->text),
				 "%.200s:%u: expected TIMESTAMP,ContextTokens,GeneratedTokens in "
				 "order of time",
				 file, number);
			return -EINVAL;
		}
		if (!grow(trace, &room))
			return -ENOMEM;
		trace->at_s[trace->count] = at_s;
		trace->work[trace->count++] =
			context * scenario->work.context_s + generated * scenario->work.generated_s;
	}
	if (trace->count < 2) {
		snprintf(error->text, sizeof(error->text), "%.200s: too few requests", file);
		return -EINVAL;
	}
	return 0;
}

static void normalise(struct scenario *scenario)
{
	double sum = 0, count = 0;

	for (unsigned i = 0; i < scenario->traces; i++) {
		struct scenario_trace *trace = &scenario->trace[i];
		double first_s = trace->at_s[0];

		for (unsigned k = 0; k < trace->count; k++) {
			trace->at_s[k] -= first_s;
			sum += trace->work[k];
		}
		count += trace->count;
		/* So that going round, the last and the first request are a mean gap apart. */
		trace->span_s = trace->at_s[trace->count - 1] * trace->count / (trace->count - 1);
	}
	for (unsigned i = 0; i < scenario->traces; i++)
		for (unsigned k = 0; k < scenario->trace[i].count; k++)
			scenario->trace[i].work[k] *= count / sum;
}

int trace_load(struct scenario *scenario, const char *directory, struct config_error *error)
{
	scenario->trace = calloc(scenario->demand.files, sizeof(*scenario->trace));
	if (!scenario->trace)
		return -ENOMEM;
	for (unsigned i = 0; i < scenario->demand.files; i++) {
		const char *name = scenario->demand.file[i];
		char file[512];

		snprintf(file, sizeof(file), "%s%s%s", *name == '/' ? "" : directory,
			 *name == '/' ? "" : "/", name);
		FILE *stream = fopen(file, "re");
		if (!stream) {
			snprintf(error->text, sizeof(error->text), "%.200s: %s", file,
				 strerror(errno));
			return -errno;
		}
		scenario->traces = i + 1;
		int result = read_trace(scenario, &scenario->trace[i], stream, file, error);
		fclose(stream);
		if (result < 0)
			return result;
	}
	normalise(scenario);
	return 0;
}
