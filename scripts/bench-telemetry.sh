#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-telemetry.sh [--json FILE] [CASE...]: how an edge stands the reports of many sites.
# 10, 100 and 1,000 simulated sites (scripts/lab/sites.c) publish 10 really signed reports a second
# of 20 services each; 50 sites offer the same 20 services.
#
#   udp-direct    p50 and p99 from a site's measurement to the dataplane's acknowledgement of the
#   nats          routes that it changed, and CPU time of control, all its threads; reports go by
#   nats-cluster  UDP, over one NATS server, and over three
#   nats-kill     the longest time without a report of one of 100 sites (p99_ms) while each of three
#                 servers is killed and started again, and TCP requests through the edge all the
#                 while: how many, how many failed. Fails over 2 s, or if any failed
#   verify        reports verified and applied in a second of one core's time, of 20,000 a second that
#                 1,000 sites send; by the clock they were per_second x cpu_percent / 100. They are
#                 valid for 10 s, so that none is refused for having waited: what is too much is
#                 dropped, by the kernel or unread by control. signatures_per_second is what libsodium
#                 alone does just then: a host that is slow shows in both
#   cold-edge     from control's start to all sites heard and all routes in the dataplane (p50_ms),
#                 with the sites on one NATS server
#   agent-overhead  what the agent costs (bench-agent.sh)
set -euo pipefail

. "$(dirname "$0")/lab/checks.sh"

JSON=
[ "${1:-}" != --json ] || { JSON=${2:?--json wants a file}; shift 2; }
CASES=("$@")
[ $# -gt 0 ] || CASES=(udp-direct nats nats-cluster nats-kill verify cold-edge agent-overhead)
NODES=(${NODES:-10 100 1000})
SECONDS_EACH=${SECONDS_EACH:-5}
SITES=$LAB_TOOLS/sites

edge_config() {
    local nodes=$1
    cat <<END
node: edge
address: fc00:e::1
key: $LAB_DIR/edge.key
run_dir: $LAB_DIR/edge
dataplane: {ports: [c0, o0], pins: 100k, huge_pages: false}
${LAB_BUS:+bus: $LAB_BUS}
$([ -n "${LAB_BUS:-}" ] || echo 'telemetry: {listen: "[fc00:e::1]:7801"}')
END
    "$SITES" config --sites "$nodes"
}

# sites_start NODES RATE [OPTION...]: reports go out once it is ready
sites_start() {
    local way=(--edge "[fc00:e::1]:7801" --edge-key "$(lab_public edge)") url
    if [ -n "${LAB_BUS:-}" ]; then
        way=()
        for url in $(tr -d '[],"' <<<"${LAB_BUS//,/ }" | sed 's/nats:\/\///g'); do :; done
        while read -r url; do way+=(--bus "$url"); done < <(jq -r '.[]' <<<"$LAB_BUS")
    fi
    rm -f "$LAB_DIR/sites.out"
    lab_start sites other "$SITES" send --sites "$1" --rate "$2" --seconds "$SECONDS_EACH" "${way[@]}" \
        "${@:3}"
    lab_wait 120 "reports signed" grep -q ready "$LAB_DIR/sites.out"
}

accepted() {
    lab_cli edge show reports --json | jq .reports.accepted
}

edge_up() {
    edge_config "$1" >"$LAB_DIR/edge.yaml"
    lab_node_start edge
}

edge_down() {
    lab_stop control-edge
    lab_stop dataplane-edge
}

# figure CASE NODES PER_SECOND P50_MS P99_MS CPU_PERCENT [MORE]: MORE is JSON, more of the same object
figure() {
    jq -nc --arg case "$1" --argjson nodes "$2" --argjson per_second "$3" --argjson p50_ms "$4" \
        --argjson p99_ms "$5" --argjson cpu_percent "$6" --argjson more "${7:-{\}}" '{$case, $nodes,
        $per_second, $p50_ms, $p99_ms, $cpu_percent} + $more |
        map_values(if type == "number" then . * 1000 | round / 1000 else . end)' |
        tee -a "$LAB_DIR/figures" | jq -r '[.case, .nodes, .per_second, .p50_ms, .p99_ms, .cpu_percent,
        (to_entries[6:][] | "\(.key) \(.value)")] | @tsv'
}

# flow NODES RATE [OPTION...]: control while reports come; leaves $rate (accepted/s), $cpu (percent)
flow() {
    local before cpu_ms start_ns elapsed_ms status
    edge_up "$1"
    sites_start "$@"
    # one core has more than it can do, the other has to bring it, whatever else this host does
    [ $# = 2 ] || renice -n -20 -p "$(lab_pid control-edge)" "$(lab_pid sites)" >/dev/null
    before=$(accepted)
    cpu_ms=$(lab_cpu_ms control-edge)
    start_ns=$(date +%s%N)
    sleep $((SECONDS_EACH - 1)) # they come still
    rate=$(accepted)
    elapsed_ms=$((($(date +%s%N) - start_ns) / 1000000))
    cpu=$(jq -n "($(lab_cpu_ms control-edge) - $cpu_ms) / $elapsed_ms * 100")
    rate=$(jq -n "($rate - $before) / $elapsed_ms * 1000")
    lab_wait $((SECONDS_EACH + 10)) "reports sent" lab_dead sites
    status=$(lab_cli edge show status --json)
    p50=$(jq '.measured_to_routes_us.p50 / 1000' <<<"$status")
    p99=$(jq '.measured_to_routes_us.p99 / 1000' <<<"$status")
    { tail -n 1 "$LAB_DIR/sites.out"; lab_cli edge show reports --json; } | jq -c . >&2
    edge_down
}

bus_down() {
    local n
    for n in 1 2 3; do
        lab_stop "bus-n$n"
    done
    LAB_BUS=
}

flows() {
    local nodes
    for nodes in "${NODES[@]}"; do
        flow "$nodes" 10
        figure "$1" "$nodes" "$rate" "$p50" "$p99" "$cpu"
    done
}

# kill_server N: the oldest report that was seen from then until all are well again, in ms
kill_server() {
    local until oldest=0 age
    lab_stop "bus-n$1" KILL
    until=$(($(date +%s%N) + 3000000000))
    while [ "$(date +%s%N)" -lt "$until" ]; do
        age=$(lab_cli edge show sites --json | jq '[.sites[].age_ms] | max | round')
        [ "$age" -le "$oldest" ] || oldest=$age
        sleep 0.02
    done
    lab_bus_server "$1" 3
    lab_wait 20 "NATS server n$1" lab_bus_answers "$1"
    echo "$oldest"
}

all_fresh() {
    lab_cli edge show sites --json | jq -e 'all(.sites[]; .state == "fresh")'
}

# The lab's three sites with their servers and agents, and NODES simulated ones beside them.
nats_kill() {
    local nodes=$1 n gap=0 one before start_ns requests
    lab_bus_start 3
    LAB_BUS=$(lab_bus_urls 3)
    lab_engine_up 8 8 8
    "$SITES" config --sites "$nodes" >"$LAB_DIR/more.yaml"
    sed -n '/^services:/,/^sites:/{//!p}' "$LAB_DIR/more.yaml" >"$LAB_DIR/more.services"
    sed '1,/^sites:/d' "$LAB_DIR/more.yaml" >"$LAB_DIR/more.sites"
    sed -i -e "/^services:/r $LAB_DIR/more.services" -e "/^sites:/r $LAB_DIR/more.sites" "$LAB_DIR/edge.yaml"
    lab_cli edge reload >/dev/null
    SECONDS_EACH=60 sites_start "$nodes" 10
    lab_wait 5 "all sites" all_fresh
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 60 --constant --seconds 600 --timeout 3000
    before=$(accepted)
    start_ns=$(date +%s%N)
    for n in 1 2 3; do
        one=$(kill_server "$n")
        echo "killed n$n: the oldest report was $one ms old" >&2
        [ "$one" -le "$gap" ] || gap=$one
        lab_wait 5 "all sites after n$n was killed" all_fresh
    done
    rate=$(jq -n "($(accepted) - $before) / ($(date +%s%N) - $start_ns) * 1e9")
    lab_stop load INT
    lab_stop sites
    requests=$(tail -n 1 "$LAB_DIR/load.out" | jq -c '{requests: .done, failed}')
    figure nats-kill "$nodes" "$rate" null "$gap" null "$requests"
    for n in a b c; do
        lab_stop "agent-$n"
        lab_stop "server-$n"
    done
    lab_stop control-gate
    lab_stop dataplane-gate
    edge_down
    bus_down
    [ "$gap" -lt 2000 ] || lab_fail "no report of a site for $gap ms"
    jq -e '.failed == 0 and .requests > 100' <<<"$requests" >/dev/null || lab_fail "requests failed"
}

cold_edge() {
    local nodes=$1 complete=()
    edge_config "$nodes" >"$LAB_DIR/edge.yaml"
    lab_dataplane_start edge
    sites_start "$nodes" 10
    sleep 0.5
    lab_control_start edge
    whole() {
        lab_cli edge show status --json | jq -e '.complete_s != null'
    }
    lab_wait "$SECONDS_EACH" "complete routes with $nodes sites" whole
    figure cold-edge "$nodes" null \
        "$(lab_cli edge show status --json | jq '.complete_s * 1000')" null null
    lab_wait $((SECONDS_EACH + 10)) "reports sent" lab_dead sites
    edge_down
}

lab_need_root "$0"
for case in "${CASES[@]}"; do
    [[ $case != nats* && $case != cold-edge ]] || command -v nats-server >/dev/null ||
        lab_fail "nats-server is missing: scripts/install.sh --peers"
done
trap 'cat "$LAB_DIR"/sites.err >&2 2>/dev/null || true; lab_down' EXIT
trap 'exit 130' INT TERM
lab_up
lab_key edge
: >"$LAB_DIR/figures"
printf 'case\tnodes\tper_s\tp50_ms\tp99_ms\tcpu_%%\n'
for case in "${CASES[@]}"; do
    case $case in
    udp-direct) LAB_BUS= flows udp-direct ;;
    nats | nats-cluster)
        count=1
        [ "$case" = nats ] || count=3
        lab_bus_start "$count"
        LAB_BUS=$(lab_bus_urls "$count")
        flows "$case"
        bus_down
        ;;
    nats-kill) nats_kill 100 ;;
    verify)
        LAB_BUS='' flow 1000 20 --valid-for-ms 10000
        bare=$("$SITES" signatures --seconds 1)
        figure verify 1000 "$(jq -n "$rate / $cpu * 100")" "$p50" "$p99" "$cpu" \
            "$(jq -n "{signatures_per_second: $bare}")"
        ;;
    cold-edge)
        lab_bus_start 1
        LAB_BUS=$(lab_bus_urls 1)
        for nodes in "${NODES[@]}"; do
            cold_edge "$nodes"
        done
        bus_down
        ;;
    agent-overhead)
        "$LAB_TOP/scripts/bench-agent.sh" --json "$LAB_DIR/agent.json" >/dev/null
        jq -r '.[] | [.per_second, .cpu_percent, ({source} | tojson)] | join("\t")' "$LAB_DIR/agent.json" |
            while IFS=$'\t' read -r rate cpu more; do
                figure agent-overhead 1 "$rate" null null "$cpu" "$more"
            done
        ;;
    *) lab_fail "no case '$case'" ;;
    esac
done
[ -z "$JSON" ] || jq -s . "$LAB_DIR/figures" >"$JSON"
