#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-failover.sh [--json FILE] [--trials N] [CASE...]: how long until what happens at one
# place is seen at another. Real programs in a lab, FRR at both ends of the BGP session. Cases:
#
#	announce    a site becomes usable (undrain) -> the BGP neighbour's kernel has both routes
#	withdraw    no site is usable (drain of the last) -> it has neither
#	site-death  kill -9 of a site's server and agent -> its last new flow, 100 requests/s
#	probe-accuracy	measured delay against the delay line's 2, 8 and 20 ms: how far off
#	path-death	cut of the path to a site -> no packet on it: from the last answer of a probe on,
#			probes each 10 ms, pinned flows and 200 requests/s, as the router sees packets
#	transit-death	the same of a path over a transit node, whose flows go straight then; "failed":
#			connections and requests that broke
#	path-compute	paths over 1,000 nodes of 8 links each, one link changed: processor time
#
# FILE gets a list of {"case", "trials", "p50_ms", "p99_ms", "max_ms"}.

. "$(dirname "$0")/lab/checks.sh"
. "$(dirname "$0")/lab/bgp.sh"
. "$(dirname "$0")/lab/paths.sh"
. "$(dirname "$0")/lab/triangle.sh"

CASES=(probe-accuracy path-death transit-death site-death announce withdraw path-compute)
TRIALS=20
DEATHS=50 # trials of path-death and transit-death
JSON=

usage() {
    echo "usage: bench-failover.sh [--json FILE] [--trials N] [${CASES[*]}]" >&2
    exit 2
}

WANTED=()
while [ $# -gt 0 ]; do
    case $1 in
    --json) JSON=${2:?FILE}; shift ;;
    --trials) TRIALS=${2:?N} DEATHS=$2; shift ;;
    *) [[ " ${CASES[*]} " == *" $1 "* ]] || usage
        WANTED+=("$1") ;;
    esac
    shift
done
[ ${#WANTED[@]} -gt 0 ] || WANTED=("${CASES[@]}")

wanted() {
    [[ " ${WANTED[*]} " == *" $1 "* ]]
}

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

# --- announce and withdraw: the neighbour's kernel tells when, to the microsecond -----------

# The time of the last line of `ip -ts monitor` about a service address
monitor_ms() {
    local stamp
    stamp=$(grep -F -e "$LAB_IPV4" -e "$LAB_IPV6" "$LAB_DIR/monitor.out" | tail -n 1 |
        sed -n 's/^\[\([^]]*\)\].*/\1/p')
    echo $(($(date -d "$stamp" +%s%N) / 1000000))
}

# change CASE CONDITION COMMAND...: adds what it took to $LAB_DIR/CASE.ms
change() {
    local name=$1 condition=$2 started
    shift 2
    : >"$LAB_DIR/monitor.out"
    started=$(now_ms)
    "$@" >/dev/null
    lab_wait 10 "$name seen by the neighbour" "$condition"
    echo $(($(monitor_ms) - started)) >>"$LAB_DIR/$name.ms"
}

bench_routes() {
    local trial
    bgp_up
    bgp_neighbour_start
    bgp_edge_frr edge 10.0.0.1 10.0.0.2 fd00::2
    lab_wait 15 "BGP sessions" bgp_established
    lab_wait 10 "the first announcement" bgp_learnt
    lab_start monitor client ip -ts monitor route
    lab_cli edge drain b >/dev/null
    for ((trial = 0; trial < TRIALS; trial++)); do
        change withdraw bgp_lost lab_cli edge drain a
        sleep 1.1 # the least time between two announcements
        change announce bgp_learnt lab_cli edge undrain a
    done
    lab_cli edge undrain b >/dev/null
    lab_stop monitor
}

# --- site-death -------------------------------------------------------------------------------

new_flows_at() {
    lab_in edge curl -s http://127.0.0.1:9801/metrics | awk -v site="site=\"$1\"" \
        '/^suanlu_member_new_flows_total/ && index($0, site) { sum += $2 } END { print sum + 0 }'
}

# When flows were last seen to grow, once they have not for a second
last_flow_ms() {
    local flows before=-1 last
    last=$(now_ms)
    while [ $(($(now_ms) - last)) -lt 1000 ]; do
        flows=$(new_flows_at "$1")
        [ "$flows" = "$before" ] || last=$(now_ms)
        before=$flows
    done
    echo "$last"
}

takes_flows() {
    local before
    before=$(new_flows_at "$1")
    sleep 0.1
    [ "$(new_flows_at "$1")" -ge $((before + 5)) ]
}

bench_site_death() {
    local trial started
    ip -4 -n "$(lab_ns client)" route replace "$LAB_IPV4/32" via 10.0.0.1 src 10.1.0.2
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --rate 100 --timeout 500 \
        --seconds 600
    for ((trial = 0; trial < TRIALS; trial++)); do
        lab_wait 10 "site a takes flows" takes_flows a
        started=$(now_ms)
        kill -KILL "$(lab_pid server-a)" "$(lab_pid agent-a)"
        echo $(($(last_flow_ms a) - started)) >>"$LAB_DIR/site-death.ms"
        lab_stop server-a KILL
        lab_stop agent-a KILL
        lab_server_start a 4 2
        lab_agent_start a
    done
    lab_stop load
}

# --- paths ------------------------------------------------------------------------------------

# Half of round trips less the line's delay, without sign; 100 samples a site
bench_accuracy() {
    local i n
    for i in 0 1 2; do
        for ((n = 0; n < 100; n++)); do
            path_is "${LAB_SITES[i]}" ".round_trip_ms / 2 - ${LAB_DELAYS_MS[i]} | fabs"
            sleep 0.02
        done >"$LAB_DIR/accuracy-${LAB_SITES[i]}.ms"
        cat "$LAB_DIR/accuracy-${LAB_SITES[i]}.ms" >>"$LAB_DIR/probe-accuracy.ms"
    done
}

# flows_start SITE: long-lived connections at SITE, and requests
flows_start() {
    rm -f "$LAB_DIR/hold.out" "$LAB_DIR/load.out"
    lab_wait 15 "all weight at $1" lab_only "$1" # a busy host may have made another seem nearer
    lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections 40 --seconds 600 --interval 50 --timeout 5000
    lab_wait 10 "connections at $1" lab_established "$1" 40
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --rate 200 --timeout 5000 \
        --seconds 600
}

flows_stop() {
    lab_stop hold INT
    lab_stop load INT
}

packets_to() {
    grep -q " data fc00:$1:" "$LAB_DIR/watch.out"
}

way_of_b_is() {
    lab_cli edge show sites --json |
        jq -e --arg way "$1" '.sites[] | select(.name == "b").way == $way'
}

# deaths INTERFACE SEGMENT SITE PATH NAME: DEATHS of path_kill. One before which nothing went there is
# none; a tenth of them may be so.
deaths() {
    local trial=0 void=0
    while [ "$trial" -lt "$DEATHS" ]; do
        : >"$LAB_DIR/watch.out"
        lab_wait 10 "flows go to fc00:$2:" packets_to "$2"
        if path_kill "$1" "$2" "$3" "$5"; then
            trial=$((trial + 1))
        else
            void=$((void + 1))
            echo "$5: nothing was seen on the way, once more" >&2
            [ "$void" -le $((DEATHS / 10 + 1)) ]
        fi
        path_mend "$1" "$4"
    done
}

bench_path_death() {
    paths_alive a b
    flows_start a
    deaths ra a a a path-death
    flows_stop
}

# The transit node's own kernel: all ways over it are measured from here.
bench_transit_death() {
    lab_wait 15 "the way over the transit node" way_of_b_is "via t"
    flows_start b
    deaths rt f b "b via t" transit-death
    flows_stop
    jq -s --slurpfile load "$LAB_DIR/load.out" \
        '(.[-1].broken) + ([$load[].failed] | add)' "$LAB_DIR/hold.out" >"$LAB_DIR/transit-failed"
}

bench_paths() {
    paths_watch
    ! wanted probe-accuracy || bench_accuracy
    ! wanted path-death || bench_path_death
    if wanted transit-death; then
        lab_cli edge drain a >/dev/null
        bench_transit_death
        lab_cli edge undrain a >/dev/null
    fi
    lab_stop watch
}

# --- what it was ------------------------------------------------------------------------------

summary() {
    jq -s --arg case "$1" 'sort | def rank(p): .[((length * p) | ceil) - 1];
        {case: $case, trials: length, p50_ms: rank(0.5), p99_ms: rank(0.99), max_ms: .[-1]}' \
        "$LAB_DIR/$1.ms"
}

LAB_ANNOUNCE='{}'
# Without the longer hold after each death, which 50 of them would add up.
LAB_PROBES='{interval_ms: 10, hold_ms: 200, hold_max_ms: 200}'
test_lab
if wanted path-compute; then
    "$LAB_BUILD/control/overlay/bench-overlay" 1000 8 1000 >"$LAB_DIR/path-compute.ms"
fi
if wanted probe-accuracy || wanted path-death || wanted transit-death; then
    triangle_up
    triangle_kernel
fi
lab_reflector_start a
lab_reflector_start b
if wanted probe-accuracy; then
    lab_config_gateway
    lab_node_start gate
fi
lab_config_edge nearest a b # all flows go to site a while it may be used
for site in a b; do
    lab_config_agent "$site" 4
    lab_server_start "$site" 4 2
    lab_agent_start "$site"
done
lab_node_start edge
if wanted probe-accuracy || wanted path-death || wanted transit-death; then
    bench_paths
fi
if wanted announce || wanted withdraw; then
    bench_routes
fi
if wanted site-death; then
    bench_site_death
fi

printf '%-14s %6s %8s %8s %8s\n' case trials "p50 ms" "p99 ms" "max ms"
for name in "${WANTED[@]}"; do
    summary "$name" | if [ "$name" = transit-death ]; then
        jq --argjson failed "$(cat "$LAB_DIR/transit-failed")" '. + {failed: $failed}'
    else
        cat
    fi
done | tee "$LAB_DIR/all.json" | jq -r '[.case, .trials, .p50_ms, .p99_ms, .max_ms] | @tsv' |
    while IFS=$'\t' read -r name trials p50 p99 max; do
        printf '%-14s %6d %8.2f %8.2f %8.2f\n' "$name" "$trials" "$p50" "$p99" "$max"
    done
[ -z "$JSON" ] || jq -s . "$LAB_DIR/all.json" >"$JSON"

# at_most CASE FIELD BOUND WHAT
at_most() {
    ! wanted "$1" || check_number "$1: $4" \
        "$(jq -s --arg case "$1" --arg field "$2" '.[] | select(.case == $case)[$field]' "$LAB_DIR/all.json")" \
        "<=" "$3" "${5-ms}"
}

if wanted probe-accuracy; then
    for site in "${LAB_SITES[@]}"; do
        check_number "probe-accuracy: median of site $site" \
            "$(jq -s 'sort | .[length / 2 | floor]' "$LAB_DIR/accuracy-$site.ms")" "<=" 0.2 ms
    done
fi
at_most path-death p99_ms 50 "last good probe to last packet, p99"
at_most transit-death failed 0 "connections and requests that broke" ""
at_most announce max_ms 1500 "seen at a FRR neighbour, longest"
at_most withdraw max_ms 1500 "seen at a FRR neighbour, longest"
at_most path-compute max_ms 10 "longest"
test_end
