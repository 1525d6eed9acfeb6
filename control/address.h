/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket addresses as people write them: "192.0.2.1:7801", "[2001:db8::1]:7801". */
#pragma once

#include <sys/socket.h>

#define ADDRESS_TEXT 80

/* Into `out`, which is returned. */
const char *address_text(const struct sockaddr_storage *address, char out[ADDRESS_TEXT]);
