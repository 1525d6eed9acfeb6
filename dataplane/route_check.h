/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a message of route.h fit to be applied? Control is not trusted to be right.
 * Pure: reads `bytes` bytes at most, keeps nothing.
 */
#pragma once

#include <stddef.h>
#include <suanlu/route.h>

/* SL_ACK_DONE if every field is in range; else why not, and `field` names the culprit. */
enum sl_ack_status route_check_header(const struct sl_msg_header *header, size_t bytes,
				      char field[SL_NAME_MAX]);
enum sl_ack_status route_check_service(const struct sl_msg_service *message, size_t bytes,
				       char field[SL_NAME_MAX]);
enum sl_ack_status route_check_node(const struct sl_msg_node *message, size_t bytes,
				    char field[SL_NAME_MAX]);
enum sl_ack_status route_check_withdraw(const struct sl_msg_withdraw *message, size_t bytes,
					char field[SL_NAME_MAX]);
enum sl_ack_status route_check_path(const struct sl_msg_path *message, size_t bytes,
				    char field[SL_NAME_MAX]);
