/* SPDX-License-Identifier: BSD-3-Clause */
#include "approval.h"
#include "plausible.h"
#include "subject.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SIGN_PREFIX "suanlu-approval-1"
#define SIGN_PREFIX_BYTES (sizeof(SIGN_PREFIX) - 1)
#define TEXT_BYTES_MAX (SIGN_PREFIX_BYTES + APPROVAL_BYTES_MAX)

static bool name_valid(const char *name)
{
	return subject_name_valid(name);
}

static bool in_range(const Suanlu__Approval *from)
{
	if (!name_valid(from->site) || from->key.len != KEY_PUBLIC_BYTES || from->servers < 1 ||
	    from->servers > PLAUSIBLE_SERVERS_MAX || from->n_service > APPROVAL_SERVICES_MAX ||
	    from->sid_prefix.len != sizeof(struct in6_addr) || from->sid_bits < 1 ||
	    from->sid_bits > 128)
		return false;
	for (size_t i = 0; i < from->n_service; i++)
		if (!name_valid(from->service[i]))
			return false;
	return true;
}

int approval_sign(const struct approval *approval, const struct key *by,
		  uint8_t out[APPROVAL_BYTES_MAX])
{
	Suanlu__Approval inner = SUANLU__APPROVAL__INIT;
	Suanlu__SignedApproval outer = SUANLU__SIGNED_APPROVAL__INIT;
	char *service[APPROVAL_SERVICES_MAX];
	uint8_t text[TEXT_BYTES_MAX] = SIGN_PREFIX, signature[crypto_sign_BYTES];
	size_t bytes;

	inner.site = (char *)approval->site;
	inner.key = (ProtobufCBinaryData){KEY_PUBLIC_BYTES, (uint8_t *)approval->key};
	inner.servers = approval->servers;
	if (approval->services > APPROVAL_SERVICES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < approval->services; i++)
		service[i] = (char *)approval->service[i];
	inner.service = service;
	inner.n_service = approval->services;
	inner.sid_prefix = (ProtobufCBinaryData){sizeof(approval->prefix),
						 (uint8_t *)approval->prefix.s6_addr};
	inner.sid_bits = approval->prefix_bits;
	inner.expires_us = approval->expires_us;
	if (!in_range(&inner))
		return -EINVAL;
	bytes = suanlu__approval__get_packed_size(&inner);
	if (bytes > APPROVAL_BYTES_MAX - 128) /* keys, signature, tags */
		return -EINVAL;
	suanlu__approval__pack(&inner, text + SIGN_PREFIX_BYTES);
	crypto_sign_detached(signature, NULL, text, SIGN_PREFIX_BYTES + bytes, by->secret);
	outer.approval = (ProtobufCBinaryData){bytes, text + SIGN_PREFIX_BYTES};
	outer.operator_ = (ProtobufCBinaryData){KEY_PUBLIC_BYTES, (uint8_t *)by->public};
	outer.signature = (ProtobufCBinaryData){sizeof(signature), signature};
	return (int)suanlu__signed_approval__pack(&outer, out);
}

/* NULL, or one whose parts have the right sizes. */
static Suanlu__SignedApproval *unpack(const uint8_t *data, size_t bytes)
{
	Suanlu__SignedApproval *outer = bytes > 0 && bytes <= APPROVAL_BYTES_MAX
						? suanlu__signed_approval__unpack(NULL, bytes, data)
						: NULL;

	if (outer && (outer->operator_.len != KEY_PUBLIC_BYTES ||
		      outer->signature.len != crypto_sign_BYTES || outer->approval.len == 0)) {
		suanlu__signed_approval__free_unpacked(outer, NULL);
		return NULL;
	}
	return outer;
}

int approval_signer(const uint8_t *data, size_t bytes, uint8_t by[KEY_PUBLIC_BYTES])
{
	Suanlu__SignedApproval *outer = unpack(data, bytes);

	if (!outer)
		return -EINVAL;
	memcpy(by, outer->operator_.data, KEY_PUBLIC_BYTES);
	suanlu__signed_approval__free_unpacked(outer, NULL);
	return 0;
}

static bool signature_valid(const Suanlu__SignedApproval *outer)
{
	uint8_t text[TEXT_BYTES_MAX] = SIGN_PREFIX;

	memcpy(text + SIGN_PREFIX_BYTES, outer->approval.data, outer->approval.len);
	return crypto_sign_verify_detached(outer->signature.data, text,
					   SIGN_PREFIX_BYTES + outer->approval.len,
					   outer->operator_.data) == 0;
}

static void take(const Suanlu__Approval *from, const uint8_t *by, struct approval *out)
{
	*out = (struct approval){.servers = from->servers,
				 .services = (unsigned)from->n_service,
				 .prefix_bits = from->sid_bits,
				 .expires_us = from->expires_us};
	strcpy(out->site, from->site);
	memcpy(out->key, from->key.data, sizeof(out->key));
	memcpy(&out->prefix, from->sid_prefix.data, sizeof(out->prefix));
	memcpy(out->by, by, sizeof(out->by));
	for (unsigned i = 0; i < out->services; i++)
		strcpy(out->service[i], from->service[i]);
}

int approval_open(const uint8_t *data, size_t bytes, struct approval *out)
{
	Suanlu__SignedApproval *outer = unpack(data, bytes);
	Suanlu__Approval *inner = NULL;
	int err = -EINVAL;

	if (!outer)
		return -EINVAL;
	inner = suanlu__approval__unpack(NULL, outer->approval.len, outer->approval.data);
	if (!inner)
		goto out;
	err = -EBADMSG;
	if (!signature_valid(outer))
		goto out;
	err = -EINVAL;
	if (!in_range(inner))
		goto out;
	take(inner, outer->operator_.data, out);
	err = 0;
out:
	if (inner)
		suanlu__approval__free_unpacked(inner, NULL);
	suanlu__signed_approval__free_unpacked(outer, NULL);
	return err;
}

bool approval_allows_service(const struct approval *approval, const char *service)
{
	for (unsigned i = 0; i < approval->services; i++)
		if (strcmp(approval->service[i], service) == 0)
			return true;
	return approval->services == 0;
}

bool approval_allows_sid(const struct approval *approval, const struct in6_addr *sid)
{
	unsigned whole = approval->prefix_bits / 8, rest = approval->prefix_bits % 8;

	return memcmp(&approval->prefix, sid, whole) == 0 &&
	       (rest == 0 ||
		(approval->prefix.s6_addr[whole] ^ sid->s6_addr[whole]) >> (8 - rest) == 0);
}

void approval_print(const uint8_t *data, size_t bytes, char text[APPROVAL_TEXT_MAX])
{
	size_t tag = strlen(APPROVAL_TAG);

	strcpy(text, APPROVAL_TAG);
	sodium_bin2base64(text + tag, APPROVAL_TEXT_MAX - tag, data, bytes,
			  sodium_base64_VARIANT_ORIGINAL);
}

int approval_scan(const char *text, uint8_t out[APPROVAL_BYTES_MAX])
{
	const char *line = text;
	size_t bytes;

	while (strncmp(line, APPROVAL_TAG, strlen(APPROVAL_TAG)) != 0) {
		line = strchr(line, '\n');
		if (!line)
			return -EINVAL;
		line++;
	}
	line += strlen(APPROVAL_TAG);
	if (sodium_base642bin(out, APPROVAL_BYTES_MAX, line, strcspn(line, "\r\n"), NULL, &bytes,
			      NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes == 0)
		return -EINVAL;
	return (int)bytes;
}
