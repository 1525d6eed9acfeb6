/* SPDX-License-Identifier: BSD-3-Clause */
#include "announce_rule.h"
#include <math.h>

static const struct {
	double patience_s;
	const char *text;
} needs[] = {
	[ANNOUNCE_EXCLUDED] = {0, "no site may be used"},
	[ANNOUNCE_SILENT] = {INFINITY, "no site is heard"},
	[ANNOUNCE_UNANSWERED] = {ANNOUNCE_DATAPLANE_S, "the dataplane does not acknowledge"},
	[ANNOUNCE_READY] = {0, "ready"},
};

void announce_rule_init(struct announce_rule *rule, bool on, double now_s)
{
	*rule = (struct announce_rule){.on = on, .lost_s = now_s, .off_s = -1};
}

bool announce_rule_update(struct announce_rule *rule, enum announce_need need, double now_s)
{
	bool before = rule->on;

	if (need == ANNOUNCE_READY) {
		rule->lost_s = -1;
		rule->on |= rule->off_s < 0 || now_s - rule->off_s >= ANNOUNCE_REST_S;
		return rule->on != before;
	}
	if (rule->lost_s < 0)
		rule->lost_s = now_s;
	if (rule->on && now_s - rule->lost_s >= needs[need].patience_s) {
		rule->on = false;
		rule->off_s = now_s;
	}
	return rule->on != before;
}

const char *announce_need_text(enum announce_need need)
{
	return needs[need].text;
}
