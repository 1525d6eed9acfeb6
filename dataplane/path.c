/* SPDX-License-Identifier: BSD-3-Clause */
#include "path.h"
#include <math.h>
#include <string.h>

#define MINUTE_NS 60000000000
#define ABSURD_NS 60000000000 /* a delay beyond is a clock that was set */

void path_init(struct path *path, struct sl_path_slot *shared)
{
	*path = (struct path){.shared = shared};
	memset(&shared->round_trip, 0, sizeof(shared->round_trip));
	memset(shared->way, 0, sizeof(shared->way));
}

static bool was_answered(const struct path *path, uint32_t sequence)
{
	return path->ring[sequence % PATH_RING].answered;
}

/* Counts what is old enough, or what makes room in the ring. */
static void decide(struct path *path, uint64_t now_ns)
{
	struct sl_path_slot *shared = path->shared;

	while (path->decided != path->next) {
		bool full = path->next - path->decided >= PATH_RING;

		if (!full &&
		    now_ns - path->ring[path->decided % PATH_RING].sent_ns < PATH_DECIDED_NS)
			return;
		shared->recent = shared->recent << 1 | !was_answered(path, path->decided);
		shared->unanswered += !was_answered(path, path->decided);
		path->decided++;
	}
}

uint32_t path_send(struct path *path, int64_t unix_ns, uint64_t now_ns)
{
	uint32_t sequence = path->next;

	decide(path, now_ns);
	path->ring[sequence % PATH_RING].sent_unix_ns = unix_ns;
	path->ring[sequence % PATH_RING].sent_ns = now_ns;
	path->ring[sequence % PATH_RING].answered = false;
	path->next++;
	path->shared->sent++;
	return sequence;
}

/* --- losses each way --- */

static void count_lost(struct path *path)
{
	struct sl_path_slot *shared = path->shared;
	uint32_t sent = path->high - path->base;
	uint32_t reflected = path->high_reflected - path->base_reflected;
	uint64_t there = sent > reflected ? sent - reflected : 0;
	uint64_t back = reflected + 1ULL > path->answers ? reflected + 1ULL - path->answers : 0;

	shared->lost[SL_PATH_THERE] = path->lost_before[SL_PATH_THERE] + there;
	shared->lost[SL_PATH_BACK] = path->lost_before[SL_PATH_BACK] + back;
	if (!path->differs && back > 0)
		shared->flags |= SL_PATH_STATELESS;
	else
		shared->flags &= ~SL_PATH_STATELESS;
}

static void count_answer(struct path *path, const struct stamp_reply *reply)
{
	bool newer = (int32_t)(reply->sequence - path->high) > 0;
	bool afresh = newer && (int32_t)(reply->reflected - path->high_reflected) <= 0;

	path->differs |= reply->reflected != reply->sequence;
	if (!path->based || afresh) {
		memcpy(path->lost_before, path->shared->lost, sizeof(path->lost_before));
		path->base = path->high = reply->sequence;
		path->base_reflected = path->high_reflected = reply->reflected;
		path->answers = 0;
		path->based = true;
	} else if (newer) {
		path->high = reply->sequence;
		path->high_reflected = reply->reflected;
	} else if ((int32_t)(reply->sequence - path->base) < 0) {
		return;
	}
	path->answers++;
	count_lost(path);
}

/* --- delays --- */

/* `transit` may contain the difference of two clocks, which its variation does not. */
static void measure(struct path *path, struct sl_path_delay *delay, unsigned index,
		    int64_t value_ns, int64_t transit_ns)
{
	bool first = delay->smoothed_ns == 0;
	int64_t variation_ns = llabs(transit_ns - path->transit_ns[index]);

	value_ns = value_ns < 1 ? 1 : value_ns;
	delay->current_ns = value_ns;
	delay->smoothed_ns += first ? value_ns : (value_ns - delay->smoothed_ns) / 8;
	if (!first && variation_ns < ABSURD_NS)
		delay->jitter_ns += (variation_ns - delay->jitter_ns) / 16;
	if (delay->least_ns == 0 || value_ns < delay->least_ns)
		delay->least_ns = value_ns;
	if (path->least_ns[index] == 0 || value_ns < path->least_ns[index])
		path->least_ns[index] = value_ns;
	path->transit_ns[index] = transit_ns;
}

/* The least of the last minute and this one: a path that became longer is known by then. */
static void turn_minute(struct path *path, uint64_t at_ns)
{
	struct sl_path_slot *shared = path->shared;

	if (at_ns - path->minute_ns < MINUTE_NS)
		return;
	path->minute_ns = at_ns;
	shared->round_trip.least_ns = path->least_ns[0];
	for (unsigned way = 0; way < SL_PATH_WAYS; way++)
		shared->way[way].least_ns = path->least_ns[1 + way];
	memset(path->least_ns, 0, sizeof(path->least_ns));
}

static void use_one_way(struct path *path, bool one_way)
{
	struct sl_path_slot *shared = path->shared;

	if (one_way == !!(shared->flags & SL_PATH_ONE_WAY))
		return;
	shared->flags ^= SL_PATH_ONE_WAY;
	memset(shared->way, 0, sizeof(shared->way));
	path->least_ns[1] = path->least_ns[2] = 0;
}

/* RFC 8762 section 4.2: T1 and T4 are ours, T2 and T3 the reflector's. */
static bool measure_all(struct path *path, const struct stamp_reply *reply, int64_t t1,
			int64_t round_trip_ns)
{
	struct sl_path_slot *shared = path->shared;
	int64_t there_ns = reply->received_ns - t1, back_ns = t1 + round_trip_ns - reply->sent_ns;
	int64_t held_ns = reply->sent_ns - reply->received_ns;
	bool one_way = shared->flags & SL_PATH_ONE_WAY;

	if (round_trip_ns < 0 || round_trip_ns > ABSURD_NS)
		return false;
	if (held_ns > 0 && held_ns < round_trip_ns)
		round_trip_ns -= held_ns;
	turn_minute(path, path->ring[reply->sequence % PATH_RING].sent_ns);
	measure(path, &shared->round_trip, 0, round_trip_ns, round_trip_ns);
	measure(path, &shared->way[SL_PATH_THERE], 1, one_way ? there_ns : round_trip_ns / 2,
		there_ns);
	measure(path, &shared->way[SL_PATH_BACK], 2, one_way ? back_ns : round_trip_ns / 2,
		back_ns);
	return true;
}

void path_answer(struct path *path, const struct path_rule *rule, const struct stamp_reply *reply,
		 bool synchronised, uint64_t at_ns)
{
	struct sl_path_slot *shared = path->shared;
	uint32_t behind = path->next - reply->sequence, probe = reply->sequence % PATH_RING;

	if (behind == 0 || behind > PATH_RING || was_answered(path, reply->sequence)) {
		shared->refused++;
		return;
	}
	path->ring[probe].answered = true;
	shared->answered++;
	if (behind > path->next - path->decided && shared->unanswered > 0)
		shared->unanswered--; /* it was given up too early */
	count_answer(path, reply);
	use_one_way(path, rule->synchronised && synchronised && reply->synchronised);
	if (!measure_all(path, reply, path->ring[probe].sent_unix_ns,
			 (int64_t)(at_ns - path->ring[probe].sent_ns)))
		shared->refused++;
	if (at_ns > shared->heard_ns)
		shared->heard_ns = at_ns;
}

/* --- does it live? --- */

static bool silent(const struct path *path, const struct path_rule *rule, uint64_t now_ns,
		   uint64_t since_ns)
{
	uint64_t heard_ns = path->shared->heard_ns;
	uint64_t from_ns = heard_ns > since_ns ? heard_ns : since_ns;

	return now_ns > from_ns && now_ns - from_ns >= rule->dead_ns;
}

static void change(struct path *path, enum sl_path_state state, uint64_t now_ns)
{
	path->shared->state = state;
	path->shared->changed_ns = now_ns;
}

static void die(struct path *path, const struct path_rule *rule, uint64_t now_ns, uint64_t alive_ns)
{
	struct sl_path_slot *shared = path->shared;
	double hold_max_ns = (double)rule->hold_max_ns, elapsed_ns = (double)alive_ns;

	shared->penalty = shared->penalty * exp2(-elapsed_ns / hold_max_ns) + 1;
	shared->hold_ns =
		(uint64_t)fmin(hold_max_ns, (double)rule->hold_ns * exp2(shared->penalty - 1));
	shared->deaths++;
	change(path, SL_PATH_DEAD, now_ns);
}

uint64_t path_judged_from(const struct path_rule *rule, uint64_t newest_ns, uint64_t since_ns,
			  uint64_t now_ns)
{
	bool near = now_ns > newest_ns && now_ns - newest_ns > rule->dead_ns / 2;

	return near && newest_ns > since_ns ? newest_ns : since_ns;
}

bool path_judge(struct path *path, const struct path_rule *rule, uint64_t now_ns, uint64_t since_ns)
{
	struct sl_path_slot *shared = path->shared;
	enum sl_path_state before = shared->state;
	bool heard = shared->heard_ns > shared->changed_ns;

	switch (before) {
	case SL_PATH_UNKNOWN:
		if (heard)
			change(path, SL_PATH_ALIVE, now_ns);
		break;
	case SL_PATH_ALIVE:
		if (silent(path, rule, now_ns, since_ns))
			die(path, rule, now_ns, now_ns - shared->changed_ns);
		break;
	case SL_PATH_DEAD:
		if (heard && !silent(path, rule, now_ns, 0))
			change(path, SL_PATH_HELD, now_ns);
		break;
	case SL_PATH_HELD:
		if (silent(path, rule, now_ns, since_ns))
			change(path, SL_PATH_DEAD, now_ns);
		else if (now_ns - shared->changed_ns >= shared->hold_ns)
			change(path, SL_PATH_ALIVE, now_ns);
		break;
	}
	return shared->state != before;
}

uint64_t path_deadline(const struct path *path, const struct path_rule *rule, uint64_t since_ns)
{
	const struct sl_path_slot *shared = path->shared;
	uint64_t from_ns = shared->heard_ns > since_ns ? shared->heard_ns : since_ns;
	uint64_t silent_ns = from_ns + rule->dead_ns;
	uint64_t held_ns = shared->changed_ns + shared->hold_ns;

	if (shared->state == SL_PATH_ALIVE)
		return silent_ns;
	if (shared->state == SL_PATH_HELD)
		return silent_ns < held_ns ? silent_ns : held_ns;
	return UINT64_MAX;
}
