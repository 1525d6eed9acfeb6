/* SPDX-License-Identifier: BSD-3-Clause */
#include "discover.h"
#include "config_check.h"
#include "log.h"
#include "telemetry/codec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/counters.h>

#define MERGE_S 0.2
#define LOG_S 10
#define STRANGER_US 10000 /* one each, in the mean, */
#define STRANGERS 200	  /* and so many at once */

const char *discover_result_text(enum discover_result result)
{
	static const char *const text[] = {
#define X(name, text) text,
		DISCOVER_RESULTS(X)
#undef X
	};

	return text[result];
}

void discover_open(struct discover *discover, struct state *state)
{
	*discover = (struct discover){.state = state};
	for (unsigned i = 0; i < DISCOVER_RESULT_COUNT; i++)
		discover->logged_s[i] = -LOG_S;
}

void discover_close(struct discover *discover)
{
	for (unsigned i = 0; i < discover->sites; i++)
		free(discover->site[i]);
	free(discover->site);
	*discover = (struct discover){};
}

static struct discover_site *find(const struct discover *discover, const char *name)
{
	for (unsigned i = 0; i < discover->sites; i++)
		if (strcmp(discover->site[i]->approval.site, name) == 0)
			return discover->site[i];
	return NULL;
}

static const struct config_operator *find_operator(const struct config *config,
						   const uint8_t key[SL_KEY_BYTES])
{
	for (unsigned i = 0; i < config->operators; i++)
		if (memcmp(config->operator[i].key, key, SL_KEY_BYTES) == 0)
			return &config->operator[i];
	return NULL;
}

/* --- what is announced, within what is approved -------------------------------------------- */

/* A key or a name that the file gives to somebody, this site or another: the file wins. */
static bool file_has(const struct config *config, const struct approval *approval)
{
	for (unsigned i = 0; i < config->sites; i++)
		if (!config->site[i].discovered &&
		    (strcmp(config->site[i].name, approval->site) == 0 ||
		     memcmp(config->site[i].key, approval->key, CODEC_ID_BYTES) == 0))
			return true;
	for (unsigned i = 0; i < config->edges; i++)
		if (memcmp(config->edge[i].key, approval->key, CODEC_ID_BYTES) == 0)
			return true;
	for (unsigned i = 0; i < config->transits; i++)
		if (config->transit[i].has_key &&
		    memcmp(config->transit[i].key, approval->key, CODEC_ID_BYTES) == 0)
			return true;
	return false;
}

/* Somebody has the name or the key already, or it was approved for another key. */
static bool name_taken(const struct discover *discover, const struct approval *approval,
		       double now_s)
{
	const struct discover_site *site = find(discover, approval->site);

	if (file_has(discover->state->config, approval))
		return true;
	for (unsigned i = 0; i < discover->sites; i++)
		if (memcmp(discover->site[i]->approval.key, approval->key, CODEC_ID_BYTES) == 0 &&
		    strcmp(discover->site[i]->approval.site, approval->site) != 0)
			return true;
	return site && memcmp(site->approval.key, approval->key, sizeof(approval->key)) != 0 &&
	       now_s < site->valid_until_s;
}

/* A packet may be sent there: the dataplane would refuse the whole service for one that cannot be,
 * and what comes back to here goes round until its hop limit ends. */
static bool leads_away(const struct config *config, const struct in6_addr *sid)
{
	return !IN6_IS_ADDR_UNSPECIFIED(sid) && !IN6_IS_ADDR_LOOPBACK(sid) &&
	       !IN6_IS_ADDR_MULTICAST(sid) && !IN6_IS_ADDR_LINKLOCAL(sid) &&
	       !IN6_IS_ADDR_V4MAPPED(sid) && !config_is_here(config, sid);
}

static bool take_sid(const struct config *config, const ProtobufCBinaryData *from,
		     const struct approval *approval, struct in6_addr *sid, bool *has)
{
	*has = from->len == sizeof(*sid);
	if (!*has)
		return true;
	memcpy(sid, from->data, sizeof(*sid));
	return approval_allows_sid(approval, sid) && leads_away(config, sid);
}

/* What counts of it; false: its SIDs do not. */
static bool within(const struct config *config, const Suanlu__Announcement *said,
		   const struct approval *approval, struct discover_site *out)
{
	out->approval = *approval;
	for (size_t i = 0; i < said->n_offer; i++) {
		const Suanlu__Offer *offer = said->offer[i];

		if (!approval_allows_service(approval, offer->service)) {
			snprintf(out->denied, sizeof(out->denied), "%s", offer->service);
			continue;
		}
		strcpy(out->service[out->services++], offer->service);
		if (offer->servers > out->servers)
			out->servers = offer->servers;
	}
	if (out->servers > approval->servers)
		out->servers = approval->servers;
	return take_sid(config, &said->sid4, approval, &out->sid[SL_INNER_IPV4],
			&out->has_sid[SL_INNER_IPV4]) &&
	       take_sid(config, &said->sid6, approval, &out->sid[SL_INNER_IPV6],
			&out->has_sid[SL_INNER_IPV6]) &&
	       (out->has_sid[SL_INNER_IPV4] || out->has_sid[SL_INNER_IPV6]);
}

static bool same(const struct discover_site *a, const struct discover_site *b)
{
	return a->services == b->services && a->servers == b->servers &&
	       memcmp(a->service, b->service, sizeof(a->service)) == 0 &&
	       memcmp(a->sid, b->sid, sizeof(a->sid)) == 0 &&
	       memcmp(a->has_sid, b->has_sid, sizeof(a->has_sid)) == 0 &&
	       memcmp(a->approval.key, b->approval.key, sizeof(a->approval.key)) == 0;
}

static struct discover_site *add(struct discover *discover)
{
	struct discover_site **grown;

	if (discover->sites == DISCOVER_SITES_MAX)
		return NULL;
	grown = realloc(discover->site, (discover->sites + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	discover->site = grown;
	grown[discover->sites] = calloc(1, sizeof(**grown));
	return grown[discover->sites] ? grown[discover->sites++] : NULL;
}

static void tell_taken(struct discover *discover, const struct discover_site *before,
		       const struct discover_site *site)
{
	const struct config_operator *operator=
		find_operator(discover->state->config, site->approval.by);

	if (!same(before, site))
		log_info("site %s: announces %u services, approved by %s", site->approval.site,
			 site->services, operator ? operator->name : "?");
	if (*site->denied && strcmp(before->denied, site->denied) != 0) {
		log_warning(
			"site %s: announces service %s, which its approval does not allow; left "
			"out",
			site->approval.site, site->denied);
		discover->denied++;
	}
}

static enum discover_result take(struct discover *discover, const Suanlu__Report *report,
				 const struct approval *approval, uint64_t now_us, double now_s)
{
	uint32_t valid_ms = report->valid_for_ms ? report->valid_for_ms : 500;
	struct discover_site next = {}, *site = find(discover, approval->site);

	if (!find_operator(discover->state->config, approval->by))
		return DISCOVER_UNAPPROVED;
	if (approval->expires_us && approval->expires_us < now_us)
		return DISCOVER_EXPIRED;
	if (strcmp(report->announcement->site, approval->site) != 0 ||
	    name_taken(discover, approval, now_s))
		return DISCOVER_NAME;
	if (!within(discover->state->config, report->announcement, approval, &next))
		return DISCOVER_SID;
	if (!site)
		site = add(discover);
	if (!site)
		return DISCOVER_FULL;
	next.heard_s = now_s;
	next.valid_until_s = now_s + valid_ms / 1000.0;
	crypto_generichash(next.approval_hash, sizeof(next.approval_hash),
			   report->announcement->approval.data, report->announcement->approval.len,
			   NULL, 0);
	discover->changed |= !same(site, &next);
	tell_taken(discover, site, &next);
	*site = next;
	return DISCOVER_TAKEN;
}

/* For whoever has to do something about it. */
static const char *remedy(enum discover_result result)
{
	static const char *const text[DISCOVER_RESULT_COUNT] = {
		[DISCOVER_UNAPPROVED] =
			"no operator of our configuration approved it; if it shall "
			"come, `suanlu approve` it with a key that is under operators",
		[DISCOVER_FORGED] = "it is not what was signed, or cannot be",
		[DISCOVER_EXPIRED] = "its approval is over (`suanlu approve` it again), or its "
				     "clock is off (see timedatectl on both)",
		[DISCOVER_NAME] = "another site has its name or key, or its approval is for "
				  "another",
		[DISCOVER_SID] = "it has no SID, one that its approval does not allow, or one that "
				 "leads back to here",
		[DISCOVER_FULL] = "more sites than there is room for, or too many strangers",
	};

	return text[result];
}

static void count(struct discover *discover, enum discover_result result, const char *from,
		  struct discover_site *site, double now_s)
{
	discover->count[result]++;
	if (site)
		snprintf(site->refused, sizeof(site->refused), "%s",
			 result == DISCOVER_TAKEN ? "" : discover_result_text(result));
	if (result == DISCOVER_TAKEN || now_s - discover->logged_s[result] < LOG_S)
		return;
	discover->logged_s[result] = now_s;
	log_warning("announcement refused (%s), from %s: %s", discover_result_text(result), from,
		    remedy(result));
}

/* --- from strangers and from those who are known ------------------------------------------- */

static bool too_many(struct discover *discover, uint64_t now_us)
{
	uint64_t burst_us = STRANGERS * STRANGER_US;

	if (discover->due_us < now_us || discover->due_us > now_us + burst_us + STRANGER_US)
		discover->due_us = now_us;
	if (discover->due_us > now_us + burst_us - STRANGER_US)
		return true;
	discover->due_us += STRANGER_US;
	return false;
}

/* Cheapest first: until the operator is known no signature is checked. */
static enum discover_result open_stranger(struct discover *discover, const uint8_t *key_id,
					  const Suanlu__SignedReport *outer,
					  const Suanlu__Report *report, const char *name,
					  uint64_t now_us, double now_s)
{
	const ProtobufCBinaryData *signed_approval = &report->announcement->approval;
	uint64_t valid_us = (report->valid_for_ms ? report->valid_for_ms : 500) * 1000ull;
	struct approval approval;
	uint8_t by[SL_KEY_BYTES];

	if (approval_signer(signed_approval->data, signed_approval->len, by) < 0 ||
	    !find_operator(discover->state->config, by))
		return DISCOVER_UNAPPROVED;
	if (report->measured_at_us + valid_us < now_us || report->measured_at_us > now_us + 1000000)
		return DISCOVER_EXPIRED;
	if (too_many(discover, now_us))
		return DISCOVER_FULL;
	if (approval_open(signed_approval->data, signed_approval->len, &approval) < 0)
		return DISCOVER_FORGED;
	if (memcmp(approval.key, key_id, CODEC_ID_BYTES) != 0 ||
	    (name && strcmp(name, approval.site) != 0))
		return DISCOVER_NAME;
	if (outer->signature.len != crypto_sign_BYTES ||
	    !codec_signature_valid(approval.key, outer->report.data, outer->report.len,
				   outer->signature.data) ||
	    !plausible(report, NULL, 0))
		return DISCOVER_FORGED;
	return take(discover, report, &approval, now_us, now_s);
}

void discover_stranger(struct discover *discover, const uint8_t *data, size_t bytes,
		       const char *name, const char *from, uint64_t now_us, double now_s)
{
	const size_t header = sizeof(struct codec_header);
	Suanlu__SignedReport *outer = NULL;
	Suanlu__Report *report = NULL;

	if (bytes <= header || bytes > CODEC_DATAGRAM_MAX)
		return;
	outer = suanlu__signed_report__unpack(NULL, bytes - header, data + header);
	if (outer)
		report = suanlu__report__unpack(NULL, outer->report.len, outer->report.data);
	if (report && report->announcement && report->announcement->approval.len) {
		enum discover_result result =
			open_stranger(discover, data + offsetof(struct codec_header, key_id), outer,
				      report, name, now_us, now_s);

		count(discover, result, from, NULL, now_s);
	}
	if (report)
		suanlu__report__free_unpacked(report, NULL);
	if (outer)
		suanlu__signed_report__free_unpacked(outer, NULL);
}

void discover_report(struct discover *discover, unsigned index, const Suanlu__Report *report,
		     uint64_t now_us, double now_s)
{
	const struct config_site *known = &discover->state->config->site[index];
	struct discover_site *site = find(discover, known->name);
	const ProtobufCBinaryData *said = &report->announcement->approval;
	enum discover_result result = DISCOVER_NAME;
	uint8_t hash[sizeof(site->approval_hash)];
	struct approval approval;

	if (!known->discovered || !site)
		return; /* the file says what there is to say of it */
	crypto_generichash(hash, sizeof(hash), said->data, said->len, NULL, 0);
	approval = site->approval;
	if (memcmp(hash, site->approval_hash, sizeof(hash)) != 0 &&
	    approval_open(said->data, said->len, &approval) < 0)
		result = DISCOVER_FORGED;
	else if (memcmp(approval.key, known->key, sizeof(known->key)) == 0)
		result = take(discover, report, &approval, now_us, now_s);
	count(discover, result, known->name, find(discover, known->name), now_s);
}

/* --- into the configuration ----------------------------------------------------------------- */

/* In this configuration, which may be one that is only gone over to. */
static bool counts(const struct config *config, const struct discover_site *site, double now_s)
{
	return now_s < site->valid_until_s && find_operator(config, site->approval.by) &&
	       !file_has(config, &site->approval);
}

bool discover_step(struct discover *discover, uint64_t now_us, double now_s)
{
	const struct config *config = discover->state->config;

	for (unsigned i = 0; i < discover->sites;) {
		struct discover_site *site = discover->site[i];

		if (site->approval.expires_us && site->approval.expires_us < now_us)
			site->valid_until_s = 0;
		if (counts(config, site, now_s)) {
			i++;
			continue;
		}
		log_info("site %s: %s", site->approval.site,
			 file_has(config, &site->approval)
				 ? "the configuration has its name or key, its announcements do "
				   "not count"
				 : "not announced any more");
		free(site);
		discover->site[i] = discover->site[--discover->sites];
		discover->changed = true;
	}
	return discover->changed && now_s - discover->merged_s >= MERGE_S;
}

static void fill_site(const struct config *config, const struct discover_site *from,
		      struct config_site *out)
{
	const struct config_operator *operator= find_operator(config, from->approval.by);

	*out = (struct config_site){.has_key = true,
				    .servers = from->servers ? from->servers : 1,
				    .delay_s = operator? operator->delay_s : 0,
				    .discovered = true };
	strcpy(out->name, from->approval.site);
	memcpy(out->key, from->approval.key, sizeof(out->key));
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (from->has_sid[f]) {
			out->via[f] = (struct sl_via){.kind = SL_VIA_SRV6, .segments = 1};
			out->via[f].segment[0] = from->sid[f];
		}
}

struct room {
	unsigned members; /* pairs of service and site so far */
	unsigned lacks;	  /* so many found none */
};

static bool offers(const struct discover_site *site, const struct config_service *service)
{
	if ((service->ipv4.s_addr && !site->has_sid[SL_INNER_IPV4]) ||
	    (!IN6_IS_ADDR_UNSPECIFIED(&service->ipv6) && !site->has_sid[SL_INNER_IPV6]))
		return false;
	for (unsigned i = 0; i < site->services; i++)
		if (strcmp(site->service[i], service->name) == 0)
			return true;
	return false;
}

static int join(struct config *config, const struct discover_site *from, struct room *room)
{
	unsigned index = config->sites;

	fill_site(config, from, &config->site[config->sites++]);
	for (unsigned i = 0; i < config->services; i++) {
		struct config_service *service = &config->service[i];
		unsigned *grown;

		if (!offers(from, service))
			continue;
		if (service->sites == SL_CANDIDATES_MAX || room->members == SL_MEMBERS_MAX) {
			room->lacks++;
			continue;
		}
		grown = realloc(service->site, (service->sites + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		service->site = grown;
		grown[service->sites++] = index;
		room->members++;
	}
	return 0;
}

static void tell_full(struct discover *discover, unsigned lacks)
{
	if (lacks && !discover->told_full)
		log_warning("%u announced candidates are left out: a service has at most %d sites, "
			    "all together %d; approve fewer services of each site",
			    lacks, SL_CANDIDATES_MAX, SL_MEMBERS_MAX);
	discover->told_full = lacks > 0;
}

int discover_merge(struct discover *discover, struct config *config, double now_s)
{
	struct config_site *grown;
	struct room room = {};
	int result = 0;

	discover->changed = false;
	discover->merged_s = now_s;
	if (discover->sites == 0)
		return 0;
	grown = realloc(config->site, (config->sites + discover->sites) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	config->site = grown;
	for (unsigned i = 0; i < config->services; i++)
		room.members += config->service[i].sites;
	for (unsigned i = 0; result == 0 && i < discover->sites; i++)
		if (counts(config, discover->site[i], now_s))
			result = join(config, discover->site[i], &room);
	tell_full(discover, room.lacks);
	return result;
}
