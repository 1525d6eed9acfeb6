/* SPDX-License-Identifier: BSD-3-Clause */
#include "link_send.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static size_t build(const struct link *link, unsigned index, struct sl_msg_service *out)
{
	const struct config_service *service = &link->config->service[index];
	size_t bytes = sizeof(*out) + service->sites * sizeof(out->candidate[0]);

	memset(out, 0, bytes);
	out->header = (struct sl_msg_header){SL_ROUTE_VERSION, SL_MSG_SERVICE, (uint32_t)bytes,
					     link->generation + 1};
	memcpy(out->service, service->name, SL_NAME_MAX);
	out->ipv4 = service->ipv4;
	out->ipv6 = service->ipv6;
	out->port = service->port;
	out->protocol = service->protocol;
	out->affinity = (uint8_t)service->affinity;
	out->idle_s = service->idle_s;
	out->candidates = (uint16_t)service->sites;
	out->draws = link->service[index].draws;
	for (unsigned k = 0; k < service->sites; k++) {
		const struct config_site *site = &link->config->site[service->site[k]];
		const struct link_ways *ways = &link->ways[service->site[k]];

		memcpy(out->candidate[k].site, site->name, SL_NAME_MAX);
		out->candidate[k].weight = link->service[index].weight[k];
		out->candidate[k].standby = link->service[index].standby[k];
		out->candidate[k].wait_s = link->service[index].wait_s[k];
		out->candidate[k].step_s = link->service[index].step_s[k];
		memcpy(out->candidate[k].via, ways->via, sizeof(ways->via));
		memcpy(out->candidate[k].second, ways->second, sizeof(ways->second));
	}
	return bytes;
}

static int send_message(struct link *link, const void *message, size_t bytes)
{
	ssize_t sent = send(link->fd, message, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent == (ssize_t)bytes) {
		link->generation++;
		link->sent++;
		return 1;
	}
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) {
		event_add(link->writable, NULL);
		return 0;
	}
	return sent < 0 ? -errno : -EMSGSIZE;
}

int link_send_header(struct link *link, enum sl_msg_type type)
{
	struct sl_msg_header header = {SL_ROUTE_VERSION, (uint16_t)type, sizeof(header),
				       link->generation + 1};

	return send_message(link, &header, sizeof(header));
}

int link_send_service(struct link *link, unsigned index)
{
	struct link_service *s = &link->service[index];
	union link_message message;
	int result = send_message(link, &message, build(link, index, &message.service));

	if (result == 1) {
		s->generation = link->generation;
		s->unanswered = true;
		s->again = false;
		s->sent_cause = s->cause;
		s->cause = (struct reaction_cause){};
	}
	return result;
}

int link_send_node(struct link *link)
{
	struct sl_msg_node node = {
		.header = {SL_ROUTE_VERSION, SL_MSG_NODE, sizeof(node), link->generation + 1},
		.address = link->config->address,
		.address4 = link->config->address4,
		.sids = link->config->dataplane.sids,
		.vnis = link->config->dataplane.vnis};
	int result;

	for (unsigned i = 0; i < node.sids; i++)
		node.sid[i] = link->config->dataplane.sid[i];
	for (unsigned i = 0; i < node.vnis; i++)
		node.vni[i] = link->config->dataplane.vni[i];
	result = send_message(link, &node, sizeof(node));
	if (result == 1)
		link->node = link->generation;
	return result;
}

/* Paths are few and change seldom: one look at all of them. */
int link_send_paths(struct link *link)
{
	for (unsigned i = 0; i < link->paths; i++) {
		struct link_path *path = &link->path[i];
		struct sl_msg_path message = path->message;
		int result;

		if (!path->pending)
			continue;
		message.header = (struct sl_msg_header){SL_ROUTE_VERSION,
							path->ended ? SL_MSG_PATH_END : SL_MSG_PATH,
							sizeof(message), link->generation + 1};
		result = send_message(link, &message, sizeof(message));
		if (result <= 0)
			return result;
		path->pending = false;
		if (path->ended)
			link->path[i--] = link->path[--link->paths];
	}
	return 1;
}
