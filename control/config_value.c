/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_value.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <net/if.h>
#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPECTED(what) config_fail(reader, node, "expected " what ", found '%.64s'", text)

int config_set_name(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (*text == '\0' || strlen(text) >= SL_NAME_MAX || text[strspn(text, allowed)])
		return EXPECTED("1 to 31 of A-Z a-z 0-9 . _ -");
	strcpy(out, text);
	return 0;
}

int config_set_text(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (*text == '\0')
		return config_fail(reader, node, "expected a text, found none");
	*(char **)out = strdup(text);
	return *(char **)out ? 0 : config_fail(reader, node, "no memory");
}

int config_set_bool(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return EXPECTED("true or false");
	*(bool *)out = *text == 't';
	return 0;
}

/* Plain decimal, with `suffixes` k and M if allowed; false if it is anything else. */
static bool whole_number(const char *text, bool suffixes, double *out)
{
	char *end;
	uint64_t value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	*out = (double)value;
	if (suffixes && (*end == 'k' || *end == 'M'))
		*out *= *end++ == 'k' ? 1e3 : 1e6;
	return errno == 0 && *end == '\0';
}

static int set_whole(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, bool suffixes, uint32_t *out)
{
	const char *text = config_scalar(reader, node);
	double value;

	if (!text)
		return -EINVAL;
	if (!whole_number(text, suffixes, &value) || value < field->min || value > field->max)
		return config_fail(reader, node, "expected %.0f..%.0f, found %.64s", field->min,
				   field->max, *text ? text : "nothing");
	*out = (uint32_t)value;
	return 0;
}

int config_set_unsigned(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	return set_whole(reader, field, node, false, out);
}

int config_set_amount(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	return set_whole(reader, field, node, true, out);
}

int config_set_port(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field range = {.min = 1, .max = 65535};
	uint32_t port = 0;

	(void)field;
	if (set_whole(reader, &range, node, false, &port) < 0)
		return -EINVAL;
	*(uint16_t *)out = (uint16_t)port;
	return 0;
}

int config_set_ms(struct config_reader *reader, const struct config_field *field,
		  const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	char *end;
	double value;

	if (!text)
		return -EINVAL;
	value = strtod(text, &end);
	/* strtod also takes "inf", "nan", hexadecimal and leading blanks. */
	if (text[strspn(text, "0123456789.eE+-")] || end == text || *end || !isfinite(value) ||
	    value < field->min || value > field->max)
		return config_fail(reader, node, "expected milliseconds, %g..%g, found '%.64s'",
				   field->min, field->max, text);
	*(double *)out = value / 1000;
	return 0;
}

int config_set_ipv4(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	struct in_addr address;

	(void)field;
	if (!text)
		return -EINVAL;
	if (inet_pton(AF_INET, text, &address) != 1 || address.s_addr == INADDR_ANY ||
	    ntohl(address.s_addr) >= 0xe0000000) /* multicast and class E, RFC 1112 */
		return EXPECTED("a unicast IPv4 address");
	memcpy(out, &address, sizeof(address));
	return 0;
}

int config_set_ipv6(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	struct in6_addr address;

	(void)field;
	if (!text)
		return -EINVAL;
	if (inet_pton(AF_INET6, text, &address) != 1 || IN6_IS_ADDR_UNSPECIFIED(&address) ||
	    IN6_IS_ADDR_MULTICAST(&address) || IN6_IS_ADDR_V4MAPPED(&address))
		return EXPECTED("a unicast IPv6 address");
	memcpy(out, &address, sizeof(address));
	return 0;
}

static bool host_bits_zero(const struct in6_addr *prefix, unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (prefix->s6_addr[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

int config_set_prefix(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	struct sl_sid *sid = out;
	struct sl_sid parsed = {.bits = 128};
	char address[64] = "";
	const char *slash;
	double bits = 128;

	(void)field;
	if (!text)
		return -EINVAL;
	slash = strchrnul(text, '/');
	if ((size_t)(slash - text) < sizeof(address))
		memcpy(address, text, (size_t)(slash - text));
	if (inet_pton(AF_INET6, address, &parsed.prefix) != 1 ||
	    IN6_IS_ADDR_MULTICAST(&parsed.prefix) ||
	    (*slash && !whole_number(slash + 1, false, &bits)) || bits < 1 || bits > 128)
		return EXPECTED("an IPv6 PREFIX/LENGTH");
	parsed.bits = (uint8_t)bits;
	if (!host_bits_zero(&parsed.prefix, parsed.bits))
		return EXPECTED("a prefix with nothing set past its length");
	*sid = parsed;
	return 0;
}

static bool endpoint_parse(const char *text, struct sockaddr_storage *out)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char address[64] = "";
	double port;
	size_t length;

	if (!colon || !whole_number(colon + 1, false, &port) || port < 1 || port > 65535)
		return false;
	length = (size_t)(colon - text);
	if (length < 3 || length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	memset(out, 0, sizeof(*out));
	if (address[0] == '[' && address[length - 1] == ']') {
		address[length - 1] = '\0';
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, address + 1, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, address, &v4->sin_addr) == 1;
}

int config_set_endpoint(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	struct sockaddr_storage address;

	(void)field;
	if (!text)
		return -EINVAL;
	if (!endpoint_parse(text, &address))
		return EXPECTED("ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\"");
	memcpy(out, &address, sizeof(address));
	return 0;
}

int config_set_key(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	uint8_t key[SL_KEY_BYTES], curve[crypto_scalarmult_curve25519_BYTES];
	size_t bytes;

	(void)field;
	if (!text)
		return -EINVAL;
	if (sodium_base642bin(key, sizeof(key), text, strlen(text), NULL, &bytes, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes != sizeof(key))
		return EXPECTED("a public key, 44 characters of base64 (suanlu keygen prints it)");
	/* Low order and off-curve points are not keys that anybody has the secret of. */
	if (crypto_sign_ed25519_pk_to_curve25519(curve, key) != 0)
		return EXPECTED("an Ed25519 public key");
	memcpy(out, key, sizeof(key));
	return 0;
}

int config_set_interface(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (strlen(text) >= IF_NAMESIZE || if_nametoindex(text) == 0)
		return EXPECTED("an interface of this machine (ip link shows them)");
	strcpy(out, text);
	return 0;
}

int config_set_cpu(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	const struct config_field range = {.max = (double)sysconf(_SC_NPROCESSORS_CONF) - 1};

	(void)field;
	return set_whole(reader, &range, node, false, out);
}

int config_set_user(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	if (!text)
		return -EINVAL;
	if (!getpwnam(text))
		return EXPECTED("a user of this machine (adduser --system makes one)");
	return config_set_text(reader, field, node, out);
}
