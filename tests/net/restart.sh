#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# kill -9 of either process of the edge: the other goes on, one command brings it back, and
# connections that stood before still stand.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# burst NAME: 100 requests over 2 s, sets $summary
burst() {
    summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 50 --constant --seconds 2 --timeout 3000 | tail -n 1)
    check_equal "requests $1: done, failed" "$(jq -c '[.done >= 95, .failed]' <<<"$summary")" \
        "[true,0]"
}

answered() {
    lab_in client curl -sf --max-time 0.5 "http://$LAB_IPV4/work"
}

# With announced services, as at a real edge: while one XDP program takes the place of the other, for
# some milliseconds, the kernel has the packets, and its blackhole routes drop them.
export LAB_ANNOUNCE="{}"

test_lab
lab_engine_up 16 16 16
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections 60 --seconds 600 --interval 200 --timeout 10000
burst "before"

lab_stop control-edge KILL
burst "while control is dead"
lab_control_start edge
check "control takes over again" "see the log of control-edge" \
    lab_wait 10 "routes acknowledged" lab_steers edge
for site in "${LAB_SITES[@]}"; do
    check "and hears site $site" "not fresh" lab_wait 5 "" lab_site_is "$site" fresh
done
lab_cli edge drain a >/dev/null
check "and steers: a drained site has no weight" "see show routes" \
    lab_wait 5 "" lab_weight_is a 0
burst "with a drained"
check_equal "at a" "$(jq '.sites.a // 0' <<<"$summary")" 0

# Site a stays drained: only its pins lead the connections there to it.
lab_stop dataplane-edge KILL
started=$(date +%s%N)
lab_dataplane_start edge
check "the dataplane starts again with one command" "see the log of dataplane-edge" \
    lab_wait 10 "a request is answered" answered
echo "   the first request was answered after $((($(date +%s%N) - started) / 1000000)) ms"
check "and has its routes" "not acknowledged" lab_wait 5 "" lab_steers edge
[ "${LAB_PORT:-af_xdp}" != af_xdp ] || check "one XDP program on the edge's port" "see ip link" \
    test "$(ip -n "$(lab_ns edge)" -d link show c0 | grep -c 'prog/xdp')" = 1
burst "with the new dataplane"

lab_stop hold INT
result=$(tail -n 1 "$LAB_DIR/hold.out")
check_equal "connections that stood all the while: opened, broken, changed site" \
    "$(jq -c '[.opened, .broken, .changed]' <<<"$result")" "[60,0,0]"
check_number "of them at site a, drained by now" "$(jq '.sites.a // 0' <<<"$result")" ">" 0 \
    connections
test_end
