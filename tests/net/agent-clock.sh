#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The clock of a real agent's host is set an hour ahead, right again, an hour back, right again
# (scripts/lab/clock.c, for that process alone): its reports are refused meanwhile, once named on both sides,
# the other sites steer on, no request fails, and each time that it is right the site is heard again.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# set_clock SECONDS: by so much it is off from now on
set_clock() {
    echo "$1" >"$LAB_DIR/.clock"
    mv "$LAB_DIR/.clock" "$LAB_DIR/clock"
}

logged() {
    [ "$(grep -c "$2" "$LAB_DIR/$1.err")" = "$3" ]
}

test_lab
lab_engine_up 8 8 8
lab_stop agent-a
check "without its agent it is silent" "$(lab_site_state a)" lab_wait 5 "" lab_site_is a silent
set_clock +0
lab_start agent-a a env LD_PRELOAD="$LAB_TOOLS/libclock.so" LAB_CLOCK="$LAB_DIR/clock" \
    "$LAB_BUILD/control/agent/suanlu-agent" -c "$LAB_DIR/agent-a.yaml"
check "with the right time it is heard" "$(lab_site_state a)" lab_wait 5 "" lab_site_is a fresh
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --rate 60 --constant --seconds 600 --timeout 3000

agreed=0
while IFS='|' read -r off named; do
    set_clock "$off"
    check "$off s: its reports count no more" "$(lab_site_state a)" lab_wait 5 "" lab_site_is a silent
    sleep 0.5
    check "$off s: the edge names it, once" "$(grep '^warning: a: ' "$LAB_DIR/control-edge.err")" \
        logged control-edge "^warning: a: its reports are refused, $named" 1
    check_equal "$off s: the others are heard" "$(lab_site_state b) $(lab_site_state c)" "fresh fresh"
    set_clock +0
    check "$off s: set right it is heard again" "$(lab_site_state a)" lab_wait 5 "" lab_site_is a fresh
    check "$off s: and the edge says so, once" "see its log" lab_wait 5 "" \
        logged control-edge "^info: a: its clock agrees with ours again" $((++agreed))
done <<'END'
+3600|its clock is 3600.. s ahead of ours
-3600|they are 3600.. s old by our clock
END
check "the agent names each step" "$(grep 'clock was set' "$LAB_DIR/agent-a.err")" \
    logged agent-a "^warning: this host's clock was set by [+-]3600.. s" 4
check_equal "they are counted" "$(lab_cli edge show reports --json |
    jq -c '[.reports | .future > 0, .stale > 0]')" "[true,true]"

lab_stop load INT
check_equal "requests all the while: some done, failed" \
    "$(tail -n 1 "$LAB_DIR/load.out" | jq -c '[.done > 60, .failed]')" "[true,0]"
test_end
