#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A path that dies: new flows and pinned ones leave it by the dataplane's own decision, also without
# control; it comes back only after a hold-down, and a flapping one is held longer and longer.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
. "$(dirname "$0")/../../scripts/lab/paths.sh"

data_to_a() {
    grep -c ' data fc00:a:' "$LAB_DIR/watch.out" || true
}

flows_reach() {
    [ "$(lab_in client curl -s --max-time 1 "http://$LAB_IPV4/work" | jq -r .site)" = "$1" ]
}

flows_leave_a() {
    lab_in client curl -s --max-time 2 "http://$LAB_IPV4/work" | jq -e '.site != "a"'
}

# Their other ends
connections_at_a() {
    lab_in a ss -Htn state established "sport = :$LAB_HOLD_PORT" | awk '{ print $4 }' | sort | xargs
}

other_deaths() {
    lab_cli edge show paths --json | jq '[.paths[] | select(.path != "a").deaths] | add'
}

flows_at_a() {
    lab_cli edge show counters --json | jq '[.members[] | select(.site == "a").new_flows] | add'
}

# Until a is alive again, a line each look: its STATE CHANGED_S HOLD_MS, and before that the flows it was given
watch_hold() {
    local flows row=
    until [[ $row == alive* ]]; do
        flows=$(flows_at_a)
        row=$(path_is a '"\(.state) \(.changed_s) \(.hold_ms)"' | tr -d '"')
        echo "$row $flows"
    done
}

test_lab
LAB_PROBES='{interval_ms: 20, dead_ms: 300, hold_ms: 150, hold_max_ms: 3000}'
PATH_WAIT_S=0.7
LAB_STEERING=nearest
lab_reflector_start a
lab_reflector_start b
LAB_MEAN_MS=5 lab_engine_up 4 4 4
paths_alive a b c
lab_wait 5 "flows go to site a" flows_reach a
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections 40 --interval 100 --timeout 3000 --seconds 600
lab_wait 10 "connections at site a" lab_established a 40
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --rate 100 --timeout 2000 --seconds 600
# All silent at once is a fault near by: flows stay where they are, when it comes and when it goes.
before=$(connections_at_a)
kill -STOP "$(lab_pid delayline)"
lab_wait 5 "all paths dead" path_is c '.state == "dead"'
kill -CONT "$(lab_pid delayline)"
paths_alive a b c
check_equal "all paths silent at once: connections at a are the same" "$(connections_at_a)" "$before"
paths_watch
for _ in 1 2; do
    path_kill ra a a path-death
    path_mend ra a
    lab_wait 5 "flows go to site a" flows_reach a
done
check_number "last answer to last packet into the dead path, better of 2" \
    "$(sort -g "$LAB_DIR/path-death.ms" | head -n 1)" "<=" 600 ms
check_number "deaths counted" "$(path_is a .deaths)" ">=" 2 ""
check "control says so" "$(grep path "$LAB_DIR/control-edge.err")" \
    grep -q 'path to a: dead' "$LAB_DIR/control-edge.err"

lab_stop control-edge KILL # nobody but the dataplane
PATH_WAIT_S=1 path_kill ra a a path-death
check_number "the same without control" "$(tail -n 1 "$LAB_DIR/path-death.ms")" "<=" 900 ms
check "new flows go elsewhere" "they do not" flows_leave_a
for _ in 1 2 3; do # a host so busy that the others seem dead too does not believe its probes
    paths_alive b c
    others=$(other_deaths)
    : >"$LAB_DIR/watch.out"
    sleep 0.3
    [ "$(other_deaths)" != "$others" ] || break
done
check_number "packets into the dead path in 0.3 s, pinned flows included" "$(data_to_a)" "==" 0 packets
flows=$(flows_at_a)
lab_delayline "join ra"
watch_hold >"$LAB_DIR/hold" & # by the dataplane's clock: however busy the host is
lab_wait 10 "a alive" path_alive a
wait $!
check_number "held, longer by its earlier deaths than 150 ms, and for so long" "$(awk '
    $1 == "held" { held = $2; hold = $3 }
    $1 == "alive" { print (hold > 200 && held && ($2 - held) * 1000 >= hold ? hold : 0) }' "$LAB_DIR/hold")" \
    ">" 0 ms
check_equal "it is given no flow meanwhile" \
    "$(awk '$1 == "held" { flows = $4 } END { print flows }' "$LAB_DIR/hold")" "$flows"

# A dataplane that is started again remembers; what is told it by control meanwhile does not matter.
lab_delayline "cut ra"
lab_wait 5 "a dead" path_is a '.state == "dead"'
lab_stop dataplane-edge KILL
lab_control_start edge
lab_dataplane_start edge
lab_wait 15 "routes in the dataplane" lab_steers edge
check "a restarted dataplane knows that a path is dead" "$(path_is a .)" path_is a '.state == "dead"'
check "and steers elsewhere" "to a" flows_leave_a
lab_stop hold INT
lab_stop load KILL
test_end
