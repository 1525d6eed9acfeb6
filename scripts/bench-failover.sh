#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-failover.sh [--json FILE] [--trials N] [CASE...]: how long until what happens at one
# place is seen at another. Real programs in a lab, FRR at both ends of the BGP session. Cases:
#
#	announce    a site becomes usable (undrain) -> the BGP neighbour's kernel has both routes
#	withdraw    no site is usable (drain of the last) -> it has neither
#	site-death  kill -9 of a site's server and agent -> its last new flow, 100 requests/s
#
# FILE gets a list of {"case", "trials", "p50_ms", "p99_ms", "max_ms"}.

. "$(dirname "$0")/lab/checks.sh"
. "$(dirname "$0")/lab/bgp.sh"

CASES=(announce withdraw site-death)
TRIALS=20
JSON=

usage() {
    echo "usage: bench-failover.sh [--json FILE] [--trials N] [${CASES[*]}]" >&2
    exit 2
}

WANTED=()
while [ $# -gt 0 ]; do
    case $1 in
    --json) JSON=${2:?FILE}; shift ;;
    --trials) TRIALS=${2:?N}; shift ;;
    *) [[ " ${CASES[*]} " == *" $1 "* ]] || usage
        WANTED+=("$1") ;;
    esac
    shift
done
[ ${#WANTED[@]} -gt 0 ] || WANTED=("${CASES[@]}")

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

# --- what it was ------------------------------------------------------------------------------

summary() {
    jq -s --arg case "$1" 'sort | def rank(p): .[((length * p) | ceil) - 1];
        {case: $case, trials: length, p50_ms: rank(0.5), p99_ms: rank(0.99), max_ms: .[-1]}' \
        "$LAB_DIR/$1.ms"
}

wanted() {
    [[ " ${WANTED[*]} " == *" $1 "* ]]
}

LAB_ANNOUNCE='{}'
test_lab
lab_config_edge nearest a b # all flows go to site a while it may be used
for site in a b; do
    lab_config_agent "$site" 4
    lab_server_start "$site" 4 2
    lab_agent_start "$site"
done
lab_node_start edge
if wanted announce || wanted withdraw; then
    bench_routes
fi
if wanted site-death; then
    bench_site_death
fi

printf '%-12s %6s %8s %8s %8s\n' case trials "p50 ms" "p99 ms" "max ms"
for name in "${WANTED[@]}"; do
    summary "$name"
done | tee "$LAB_DIR/all.json" | jq -r '[.case, .trials, .p50_ms, .p99_ms, .max_ms] | @tsv' |
    while IFS=$'\t' read -r name trials p50 p99 max; do
        printf '%-12s %6d %8d %8d %8d\n' "$name" "$trials" "$p50" "$p99" "$max"
    done
[ -z "$JSON" ] || jq -s . "$LAB_DIR/all.json" >"$JSON"
for name in announce withdraw; do
    ! wanted "$name" || check_number "$name seen at a FRR neighbour, longest" \
        "$(jq -s --arg case "$name" '.[] | select(.case == $case).max_ms' "$LAB_DIR/all.json")" \
        "<=" 1500 ms
done
test_end
