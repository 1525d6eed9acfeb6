/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An operator's approval of a site: bounds on what the site may announce, signed by the operator's
 * key, so that an edge that trusts the operator needs to know nothing else (telemetry.proto:
 * Approval). It travels in the site's announcements, and as text from `suanlu approve` to the
 * agent's configuration: "suanlu-approval-1 BASE64". Pure.
 */
#pragma once

#include "key.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <suanlu/config.h>

#define APPROVAL_SERVICES_MAX 16
#define APPROVAL_BYTES_MAX 800 /* of a SignedApproval */
#define APPROVAL_TEXT_MAX 1200
#define APPROVAL_TAG "suanlu-approval-1 "

struct approval {
	char site[SL_NAME_MAX];
	uint8_t key[KEY_PUBLIC_BYTES];
	uint32_t servers; /* 1..1,000,000 */
	char service[APPROVAL_SERVICES_MAX][SL_NAME_MAX];
	unsigned services; /* 0: any */
	struct in6_addr prefix;
	unsigned prefix_bits; /* 1..128 */
	uint64_t expires_us;  /* 0: never */
	uint8_t by[KEY_PUBLIC_BYTES];
};

/* Bytes written, or -EINVAL if something is out of range. by is the operator's public key. */
int approval_sign(const struct approval *approval, const struct key *by,
		  uint8_t out[APPROVAL_BYTES_MAX]);

/* Who signed, as far as it says; -EINVAL: not a SignedApproval. Nothing is checked by it. */
int approval_signer(const uint8_t *data, size_t bytes, uint8_t by[KEY_PUBLIC_BYTES]);

/* -EINVAL: cannot be decoded or is out of range, -EBADMSG: the signature is wrong. *out is then
 * untouched. Whether the signer is trusted and the time not over is the caller's to ask. */
int approval_open(const uint8_t *data, size_t bytes, struct approval *out);

bool approval_allows_service(const struct approval *approval, const char *service);
bool approval_allows_sid(const struct approval *approval, const struct in6_addr *sid);

/* Text with its tag, without a newline. */
void approval_print(const uint8_t *data, size_t bytes, char text[APPROVAL_TEXT_MAX]);
/* From a text in which it stands on a line; bytes, or -EINVAL. */
int approval_scan(const char *text, uint8_t out[APPROVAL_BYTES_MAX]);
