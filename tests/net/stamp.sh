#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# STAMP against another implementation (stamp.py, written from RFC 8762): as sender to each of our
# reflectors and as reflector of our sender, unauthenticated and authenticated; delays against
# the delay line, and on which way probes were lost.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

. "$(dirname "$0")/../../scripts/lab/paths.sh"

STAMP=$LAB_TOP/tests/net/stamp.py

# answers ROLE MODE ADDRESS [OPTION...]: how many right answers of 5 the peer's sender got
answers() {
    local role=$1 key=()
    [ "$2" = unauthenticated ] || key=(--key "$(cat "$LAB_DIR/probe.key")")
    shift 2
    lab_in "$role" "$STAMP" "${key[@]}" send "$@"
}

# The dataplane's worker is reached through the overlay: the router's kernel encapsulates.
overlay_to_gate() {
    ip -6 -n "$(lab_ns router)" route "$1" fc00:c::1/128 encap seg6 mode encap.red \
        segs fc00:c:0:46::1 via fd00:c::2 dev rc
}


# sender MODE: the peer as sender
sender() {
    local mode=$1
    check_equal "$mode: suanlu reflect answers another's sender" "$(answers edge "$mode" fc00:b::1)" 5
    check_equal "$mode: so does the dataplane at its own address" \
        "$(answers other "$mode" fc00:e::1)" 5
    overlay_to_gate add
    check_equal "$mode: so does a worker through the overlay" \
        "$(answers router "$mode" fc00:c::1)" 5
    check_equal "$mode: padding comes back" \
        "$(answers router "$mode" fc00:c::1 --bytes 300)$(answers edge "$mode" fc00:b::1 --bytes 300)" 55
    {
        answers router "$mode" fc00:c::1 --source-port 862 --count 1 &
        answers other "$mode" fc00:e::1 --source-port 862 --count 1 &
        if [ "$mode" = authenticated ]; then
            answers router "$mode" fc00:c::1 --forge --count 1 &
            answers edge "$mode" fc00:b::1 --forge --count 1 &
            answers router unauthenticated fc00:c::1 --count 1 &
        fi
        wait
    } >"$LAB_DIR/refused" # a number of each, whose line ends may come later than another's number
    check_equal "$mode: no reflector answers another reflector's port$(
        [ "$mode" = unauthenticated ] || echo ", a wrong HMAC or an unauthenticated probe")" \
        "$(tr -d '\n' <"$LAB_DIR/refused")" "$([ "$mode" = authenticated ] && echo 00000 || echo 00)"
    [ "$mode" = authenticated ] ||
        check_equal "$mode: a TWAMP Light sender's 14 bytes are answered" \
            "$(answers router "$mode" fc00:c::1 --bytes 14)$(answers edge "$mode" fc00:b::1 --bytes 14)" 55
    overlay_to_gate del
}

# reflector MODE: the peer as reflector, at site a
reflector() {
    local mode=$1 key=()
    [ "$mode" = unauthenticated ] || key=(--key "$(cat "$LAB_DIR/probe.key")")
    lab_start peer a "$STAMP" "${key[@]}" reflect fc00:a::1 --stateful --lose-there 10 --lose-back 4
    lab_wait 5 "the path to a alive" path_is a '.state == "alive"'
    lab_wait 10 "probes lost on both ways" path_is a '.lost_there >= 3 and .lost_back >= 8'
    check "$mode: losses are counted on the way they happened" "$(path_is a .)" path_is a \
        '(.answered / 7 - .lost_there | fabs) <= 2 and (.answered * 2 / 7 - .lost_back | fabs) <= 3'
    lab_stop peer
    lab_wait 5 "the path to a dead" path_is a '.state == "dead"'
    lab_start peer a "$STAMP" "${key[@]}" reflect fc00:a::1
    for site in a b c; do
        lab_wait 8 "the path to $site alive" path_is "$site" '.state == "alive"'
    done
}

# $LAB_DIR/round-trips: 25 times the state of all paths
sample() {
    local i
    for ((i = 0; i < 25; i++)); do
        lab_cli edge show paths --json
        sleep 0.02
    done >"$LAB_DIR/round-trips"
}

# off_by_ms SITE LINE: the median of its round trips, half of it, less the delay line's
off_by_ms() {
    jq -s --arg path "$1" --argjson line "$2" '[.[].paths[] | select(.path == $path).round_trip_ms / 2] |
        sort | .[length / 2 | floor] - $line' "$LAB_DIR/round-trips"
}

nodes_up() {
    lab_config_edge nearest
    lab_config_gateway
    lab_reflector_start b "$1"
    lab_node_start gate
    lab_node_start edge
}

nodes_down() {
    local name
    for name in control-edge dataplane-edge control-gate dataplane-gate reflector-b peer; do
        lab_stop "$name"
    done
    rm -f "$LAB_DIR/edge/paths"
}

test_lab
(umask 077; head -c 32 /dev/urandom | base64 >"$LAB_DIR/probe.key")
LAB_PROBES='{interval_ms: 10, hold_ms: 200, hold_max_ms: 400, dead_ms: 300}' nodes_up ""
reflector unauthenticated
sample
for i in 0 1 2; do
    check_number "site ${LAB_SITES[i]}: measured delay off the line's ${LAB_DELAYS_MS[i]} ms, median" \
        "$(off_by_ms "${LAB_SITES[i]}" "${LAB_DELAYS_MS[i]}" | jq fabs)" "<=" 0.5 ms
done
check "control uses what is measured" "$(lab_cli edge show sites)" \
    jq -e '[.sites[].delay_ms] | .[0] > 2 and .[1] > 8 and .[2] > 20' \
    <(lab_cli edge show sites --json)
sender unauthenticated
nodes_down
LAB_PROBES="{interval_ms: 10, hold_ms: 200, hold_max_ms: 400, dead_ms: 300, key: $LAB_DIR/probe.key}" nodes_up "$LAB_DIR/probe.key"
reflector authenticated
check "an authenticated path to each site" "$(lab_cli edge show paths)" \
    jq -e '[.paths[] | select(.state == "alive")] | length == 3' <(lab_cli edge show paths --json)
sender authenticated
check "whoever sends no valid answers is counted" "none" \
    jq -e '.unknown_answers == 0' <(lab_cli edge show paths --json)
test_end
