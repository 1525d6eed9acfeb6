/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP clients behind a TUN interface, a batch at a time: for this host's kernel they are elsewhere.
 * The least of TCP that gets a request answered on a link that loses nothing; whatever
 * else happens ends the program.
 *
 * The interface has to be up with the address 10.9.0.1/16; clients have 10.9.1.0 and up.
 */
#pragma once

#include <stdint.h>

#define TUNNEL_BATCH 20
#define TUNNEL_REQUEST "GET / HTTP/1.1\r\n\r\n"

struct tunnel;

struct tunnel *tunnel_open(const char *interface, uint16_t port);

/* Handshakes of the next batch, and their requests. */
void tunnel_connect(struct tunnel *tunnel);

/* Reads the answers, and closes after the server has. */
void tunnel_close(struct tunnel *tunnel);
