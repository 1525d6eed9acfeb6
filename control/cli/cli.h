/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The subcommands of `suanlu`. Each gets what follows its name on the command line (argv[0] is
 * "suanlu NAME"), prints its own errors on stderr and returns the exit status: 0, or 1.
 */
#pragma once

#include <argp.h>

struct cli {
	const char *run_dir;
};

/* --run-dir, for every subcommand's `children`; its input is struct cli. */
extern const struct argp cli_argp;

/* "suanlu: " TEXT on stderr; returns 1, the exit status. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

int check_command(struct cli *cli, int argc, char **argv);
int keygen_command(struct cli *cli, int argc, char **argv);
int show_command(struct cli *cli, int argc, char **argv);
int trace_command(struct cli *cli, int argc, char **argv);
int drain_command(struct cli *cli, int argc, char **argv);
int undrain_command(struct cli *cli, int argc, char **argv);
int reload_command(struct cli *cli, int argc, char **argv);
int probe_command(struct cli *cli, int argc, char **argv);
int reflect_command(struct cli *cli, int argc, char **argv);
int approve_command(struct cli *cli, int argc, char **argv);
int publish_command(struct cli *cli, int argc, char **argv);
int simulate_command(struct cli *cli, int argc, char **argv);
