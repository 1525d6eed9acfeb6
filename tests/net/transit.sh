#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Over a transit node because it is faster than straight (the triangle inequality does not hold), by
# our own dataplane as transit node and by a kernel's seg6local End; when it dies flows go straight
# to the same site, and no connection breaks.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
. "$(dirname "$0")/../../scripts/lab/paths.sh"
. "$(dirname "$0")/../../scripts/lab/triangle.sh"

delay_is() {
    lab_cli edge show sites --json | jq -e ".sites[] | select(.name == \"b\").delay_ms | $1"
}

# The way of new flows, by the segments of what leaves the edge
flows_take() {
    : >"$LAB_DIR/watch.out"
    lab_in client curl -s --max-time 2 "http://$LAB_IPV4/work" >/dev/null || return
    lab_in client curl -s --max-time 2 "http://[$LAB_IPV6]/work" >/dev/null || return
    sleep 0.05
    grep ' data ' "$LAB_DIR/watch.out" | awk -v segment="^fc00:$1:" \
        '$3 !~ segment { other = 1 } END { exit !NR || other }'
}

hold() {
    lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections 40 --seconds 600 --interval 100 --timeout 4000
    lab_wait 10 "connections at b" lab_established b 40
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 50 \
        --timeout 4000 --seconds 600
}

broken() {
    lab_stop hold INT
    lab_stop load INT
    check_equal "$1: connections that broke" "$(tail -n 1 "$LAB_DIR/hold.out" | jq .broken)" 0
    check_equal "$1: requests that failed" "$(jq -s '[.[].failed] | add' "$LAB_DIR/load.out")" 0
    rm -f "$LAB_DIR/hold.out" "$LAB_DIR/load.out"
}

way_mtu() {
    lab_cli edge show neighbours --json | jq -c '[.neighbours[] | select(.references > 0 and
        (.way | contains("fc00:f:0:e::1 > fc00:b:"))).mtu_bytes] | unique'
}

# narrow NAME: past the transit node packets of full size do not fit; it says so to the edge
narrow() {
    local address
    ip -n "$(lab_ns client)" route flush cache # it may have learnt before
    ip -n "$(lab_ns client)" -6 route flush cache
    ip -n "$(lab_ns transit)" link set o1 mtu 1400
    for address in "$LAB_IPV4" "[$LAB_IPV6]"; do
        check_equal "$1: 4 MiB by $address over 1,400 bytes past the transit node" \
            "$(lab_in client curl -s --max-time 10 -T "$LAB_DIR/upload" "http://$address/upload")" "$sum"
    done
    check_equal "$1: the edge knows the path MTU" "$(way_mtu)" "[1400]"
    ip -n "$(lab_ns transit)" link set o1 mtu 1600
}

edge_up() {
    rm -rf "$LAB_DIR/edge"
    lab_config_edge nearest b
    lab_node_start edge
    lab_wait 15 "the way over the transit node" flows_take f
}

test_lab
head -c $((4 << 20)) /dev/urandom >"$LAB_DIR/upload"
sum=$(b2sum -l 256 "$LAB_DIR/upload" | cut -d' ' -f1)
LAB_PROBES='{interval_ms: 20, dead_ms: 300, hold_ms: 200, hold_max_ms: 400}'
triangle_up
lab_reflector_start a
lab_reflector_start b
lab_config_edge nearest b
lab_config_agent b 8
lab_server_start b 8 2
lab_agent_start b
paths_watch

triangle_ours
edge_up
check "ours: straight to b is 8 ms, over t 2 ms, and control knows" "$(delay_is .)" \
    lab_wait 10 "the delay over t" \
    delay_is '. > 1.5 and . < 4'
check "ours: the way was proposed by t's signed reports" "$(lab_cli edge show reports)" \
    jq -e '.reports.accepted > 10' <(lab_cli edge show reports --json)
narrow ours
hold
kill -KILL "$(lab_pid dataplane-transit)"
lab_stop dataplane-transit KILL
lab_wait 5 "straight again" flows_take b
check "ours: when t dies flows go straight" "$(lab_cli edge show paths)" path_is "b via t" '.state == "dead"'
sleep 0.5
broken ours
lab_stop control-transit
lab_stop control-edge
lab_stop dataplane-edge

triangle_kernel
edge_up
check "kernel: straight to b is 8 ms, over t 2 ms, and control knows" "$(delay_is .)" \
    lab_wait 10 "the delay over t" \
    delay_is '. > 1.5 and . < 4'
narrow kernel
hold
echo "cut rt" >"$LAB_DIR/delayline2.fifo"
lab_wait 5 "straight again" flows_take b
sleep 0.5
broken kernel
echo "join rt" >"$LAB_DIR/delayline2.fifo"
check "kernel: back over t when it is back" "$(lab_cli edge show paths)" \
    lab_wait 15 "over t again" flows_take f
test_end
