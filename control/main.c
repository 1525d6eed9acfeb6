/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer.h"
#include "control.h"
#include "log.h"
#include "metrics.h"
#include "privilege.h"
#include "reload.h"
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *file;
};

static error_t take_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'c':
		options->file = argument;
		return 0;
	case 'v':
		log_verbose = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_table[] = {
	{"config", 'c', "FILE", 0, "configuration (default " SL_CONFIG_FILE ")", 0},
	{"verbose", 'v', NULL, 0, "log every change of weights", 0},
	{},
};

static const struct argp argp = {
	.options = option_table,
	.parser = take_option,
	.doc = "The control plane of suanlu: takes signed load reports and tells suanlu-dataplane "
	       "which site each new flow should go to. SIGHUP or `suanlu reload`: reads the "
	       "configuration again.",
};

static void on_signal(int signal, short what, void *argument)
{
	(void)signal;
	(void)what;
	event_base_loopbreak(argument);
}

static void on_hangup(int signal, short what, void *argument)
{
	struct reload_summary summary;
	struct config_error error;

	(void)signal;
	(void)what;
	(void)reload(argument, &summary, &error); /* it logs what became of it */
}

/* Also ends the loop's events, so that teardown runs in order. */
static int run(struct control *control)
{
	struct event *terminate = evsignal_new(control->base, SIGTERM, on_signal, control->base);
	struct event *interrupt = evsignal_new(control->base, SIGINT, on_signal, control->base);
	struct event *hangup = evsignal_new(control->base, SIGHUP, on_hangup, control);
	int result = -ENOMEM;

	if (terminate && interrupt && hangup && event_add(terminate, NULL) == 0 &&
	    event_add(interrupt, NULL) == 0 && event_add(hangup, NULL) == 0 &&
	    control_start(control) == 0) {
		log_info("node %s: control runs, %u services, %u sites", control->config->node,
			 control->config->services, control->config->sites);
		result = event_base_dispatch(control->base) < 0 ? -EIO : 0;
	}
	if (hangup)
		event_free(hangup);
	if (interrupt)
		event_free(interrupt);
	if (terminate)
		event_free(terminate);
	return result;
}

int main(int argc, char **argv)
{
	struct options options = {.file = SL_CONFIG_FILE};
	struct config_error error = {};
	struct control control;
	struct answer answer;
	struct metrics metrics;
	int result;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stderr, NULL, _IOLBF, 0);

	if (privilege_limit() < 0)
		log_warning("programs that we would start could have more rights than we: %s",
			    strerror(errno));
	result = control_open(&control, options.file, &error);
	if (result < 0)
		goto fail;
	result = answer_open(&answer, &control, &error);
	if (result < 0)
		goto close_control;
	result = metrics_open(&metrics, &control, &error);
	if (result < 0)
		goto close_answer;
	result = rundir_drop(&control.rundir, &error);
	if (result == 0)
		result = run(&control);
	if (result < 0 && !error.text[0])
		snprintf(error.text, sizeof(error.text), "%s", strerror(-result));

	metrics_close(&metrics);
close_answer:
	answer_close(&answer);
close_control:
	control_close(&control);
fail:
	if (result < 0)
		fprintf(stderr, "suanlu-control: %s\n", error.text);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
