/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that live long and carry a trickle of data both ways: they show that no
 * flow changes its site and which connections break.
 *
 * The client sends an HTTP request; the server answers with a head without end of body.
 * Then every HOLD_RECORD bytes from the client come back with the site's name behind them.
 */
#pragma once

#include <stdint.h>

#define HOLD_RECORD 16
#define HOLD_SITE 16 /* the name, padded with NULs */
#define HOLD_ANSWER (HOLD_RECORD + HOLD_SITE)

/* Serves the listening socket in a thread of its own. */
void hold_start(int listener, const char *site);
