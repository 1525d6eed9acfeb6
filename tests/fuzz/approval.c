/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An approval, as it comes in an announcement; the text of one, as a file has it; and what an
 * operator signed who signs anything.
 */
#include "control/telemetry/approval.h"
#include "fuzz.h"
#include <sodium.h>
#include <suanlu/telemetry.pb-c.h>

static struct key operator;

static void make_key(void)
{
	static const uint8_t seed[32];

	if (operator.public[0])
		return;
	assert(sodium_init() >= 0);
	crypto_sign_seed_keypair(operator.public, operator.secret, seed);
}

static bool open_any(const uint8_t *data, size_t bytes, struct approval *approval)
{
	uint8_t by[KEY_PUBLIC_BYTES];

	(void)approval_signer(data, bytes, by);
	if (approval_open(data, bytes, approval) != 0)
		return false;
	assert(approval->services <= APPROVAL_SERVICES_MAX && approval->servers > 0);
	assert(approval_allows_sid(approval, &approval->prefix));
	assert(approval->services == 0 || approval_allows_service(approval, approval->service[0]));
	(void)approval_allows_service(approval, approval->site);
	return true;
}

static void open_signed(const uint8_t *data, size_t bytes)
{
	static const char prefix[] = "suanlu-approval-1";
	uint8_t text[sizeof(prefix) - 1 + APPROVAL_BYTES_MAX], signature[crypto_sign_BYTES];
	uint8_t out[2 * APPROVAL_BYTES_MAX];
	Suanlu__SignedApproval outer = SUANLU__SIGNED_APPROVAL__INIT;
	struct approval approval, again;
	int length;

	if (bytes == 0 || bytes > APPROVAL_BYTES_MAX)
		return;
	memcpy(text, prefix, sizeof(prefix) - 1);
	memcpy(text + sizeof(prefix) - 1, data, bytes);
	crypto_sign_detached(signature, NULL, text, sizeof(prefix) - 1 + bytes, operator.secret);
	outer.approval = (ProtobufCBinaryData){bytes, text + sizeof(prefix) - 1};
	outer.operator_ = (ProtobufCBinaryData){sizeof(operator.public), operator.public };
	outer.signature = (ProtobufCBinaryData){sizeof(signature), signature};
	if (!open_any(out, suanlu__signed_approval__pack(&outer, out), &approval))
		return;
	length = approval_sign(&approval, &operator, out);
	if (length > 0)
		assert(open_any(out, (size_t)length, &again) &&
		       memcmp(&approval, &again, sizeof(again)) == 0);
}

static void scan(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1), printed[APPROVAL_TEXT_MAX];
	uint8_t out[APPROVAL_BYTES_MAX], again[APPROVAL_BYTES_MAX];
	int length;

	if (bytes)
		memcpy(text, data, bytes);
	text[bytes] = '\0';
	length = approval_scan(text, out);
	if (length > 0) {
		approval_print(out, (size_t)length, printed);
		assert(approval_scan(printed, again) == length &&
		       memcmp(out, again, (size_t)length) == 0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = fuzz_copy(data, bytes);
	struct approval approval;

	make_key();
	open_any(copy, bytes, &approval);
	open_signed(copy, bytes);
	scan(data, bytes);
	free(copy);
	return 0;
}
