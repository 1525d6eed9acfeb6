/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Setters of single values for the tables of config_yaml.h: text in, checked field out.
 * The comment after each names the type behind `out`.
 */
#pragma once

#include "config_yaml.h"

config_set config_set_name;	 /* char[SL_NAME_MAX]: [A-Za-z0-9._-]{1,31} */
config_set config_set_text;	 /* char *, strdup */
config_set config_set_bool;	 /* bool */
config_set config_set_unsigned;	 /* uint32_t in field->min..max */
config_set config_set_port;	 /* uint16_t, 1..65535 */
config_set config_set_amount;	 /* uint32_t in field->min..max; 64k and 1M are understood */
config_set config_set_ms;	 /* double, seconds, from milliseconds in field->min..max */
config_set config_set_ipv4;	 /* struct in_addr, unicast */
config_set config_set_ipv6;	 /* struct in6_addr, unicast */
config_set config_set_prefix;	 /* struct sl_sid: "PREFIX/LENGTH" */
config_set config_set_endpoint;	 /* struct sockaddr_storage: "[ADDRESS]:PORT" */
config_set config_set_key;	 /* uint8_t[SL_KEY_BYTES]: Ed25519 public key in base64 */
config_set config_set_interface; /* char[16]: an interface that exists */
config_set config_set_cpu;	 /* unsigned: a CPU that exists */
config_set config_set_user;	 /* char *, strdup: a user that exists */
