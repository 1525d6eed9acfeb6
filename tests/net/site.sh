#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A site with two instances behind its gateway: the gateway's own control balances among them, and
# the edge sees one site whose load is that of both. Load jumps; then the same on a bus, where one
# instance dies.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
LAB_ROLES+=(d)

# site FILTER: jq over what the edge's control was told of infer at site c
site() {
    lab_cli edge show telemetry --json |
        jq -ce "[.telemetry[] | select(.site == \"c\" and .service == \"infer\")] |
            map({key: .type, value: .value}) | from_entries | $1"
}

aggregated() {
    lab_cli edge show telemetry --json | jq -e '.telemetry |
        any(.[]; .site == "c" and .type == "compute_cpu" and .source == "aggregation")'
}

served() {
    wc -l <"$LAB_DIR/server-$1.log"
}

heard() {
    ! grep "site c: silent" "$LAB_DIR/control-edge.err"
}

silent() {
    lab_cli edge show routes --json | jq -e \
        '.routes[] | select(.site == "c" and .service == "infer").why | test("silent|stopped")'
}

# upward COUNTER: of the gateway
upward() {
    lab_in gate curl -s http://127.0.0.1:9801/metrics | awk -v name="suanlu_upward_$1_total" '$1 == name { print $2 }'
}

# load RATE SECONDS: FILE has the client's summary
load() {
    lab_in client "$LAB_TOOLS/client" load --rate "$1" --seconds "$2" \
        --to "$LAB_IPV4" --to "$LAB_IPV6" >"$LAB_DIR/load.json"
}

test_lab
lab_instance_up
lab_config_edge optimal c
lab_config_site
lab_config_instance c c1 2
lab_config_instance d c2 6
lab_server_start c 2 30 --seed 1
lab_server_start d 6 30 --seed 2
lab_node_start gate
lab_node_start edge
lab_agent_start c
lab_agent_start d

check "the edge sees one site with the servers of both" "$(site .servers)" \
    lab_wait 5 "" site '.servers == 8'
check_equal "... and labels that both have" \
    "$(lab_cli edge show sites --json | jq -c '.sites[] | select(.name == "c").labels')" '["ai"]'
load 120 4
lab_wait 3 "" site ".completions == $(($(served c) + $(served d)))" || true
check_equal "no request failed" "$(tail -n 1 "$LAB_DIR/load.json" | jq -c '[.done > 400, .failed]')" "[true,0]"
check_equal "arrivals at the edge are those of both logs" "$(site .arrivals)" "$(($(served c) + $(served d)))"
check_equal "completions, too" "$(site .completions)" "$(($(served c) + $(served d)))"
check_number "the larger instance got more" "$(served d) / $(served c)" ">" 1.5 "times"
check_number "the smaller got some" "$(served c)" ">" 20 "requests"
lab_wait 3 "" site '.completions_per_s == 0' || true
# Nobody completes anything now: weights are what the instances could do.
mixture=$(lab_cli gate show telemetry --json | jq '[.telemetry[] | select(.type == "servers" or .type == "service_time")] |
    group_by(.site) | map(map({key: .type, value: .value}) | from_entries) |
    (map(.servers) | add) / (map(.servers / .service_time) | add)')
check_number "service time is that of the mixture ($mixture s)" \
    "($(site .service_time) / $mixture - 1) * 100 | fabs" "<" 1 "% off"
check "a metric of both is one, by aggregation" "no such compute_cpu" aggregated
check "scores are derived beside it" "$(site '{compute_norm, norm_fi}')" \
    site '.compute_norm >= 0 and .compute_norm <= 10 and .norm_fi >= 0 and .norm_fi <= 10'

check "a new configuration of the gateway" "$(lab_cli gate reload 2>&1)" lab_cli gate reload
sleep 0.3 # some reports
check_equal "... leaves the totals" "$(site .completions)" "$(($(served c) + $(served d)))"

before=$(upward extra_reports) reports=$(upward reports) start=$(date +%s%N)
load 450 1
check_number "load that jumps is told at once" "($(upward extra_reports) - $before)" ">" 0 "extra reports"
check_number "... at a bounded rate" "($(upward reports) - $reports) / (($(date +%s%N) - $start) / 1e9)" "<=" 52 "reports/s"

sed -i '0,/servers: 64/s//servers: 1/' "$LAB_DIR/gate.yaml"
lab_cli gate reload >"$LAB_DIR/reload.out"
check "an instance has no more servers than the gateway gives it" "$(site .servers)" \
    lab_wait 3 "" site '.servers == 7'

# On a bus: the gateway's way up, and one instance's to it; the other's stays UDP.
for name in control-edge agent-c agent-d control-gate; do
    lab_stop "$name"
done
lab_bus_start 1
LAB_BUS=$(lab_bus_urls 1)
lab_config_edge optimal c
lab_config_site
lab_config_instance c c1 2
lab_control_start gate
lab_control_start edge
lab_agent_start c
lab_agent_start d
check "on a bus, too, the edge sees one site with the servers of both" "$(site .servers)" \
    lab_wait 8 "" site '.servers == 8'
check_equal "... by reports on the bus" \
    "$(lab_cli edge show status --json | jq .bus.connected) $(lab_cli gate show status --json | jq .bus.connected)" "true true"
before=$(upward extra_reports) total=$(($(served c) + $(served d)))
load 450 1
check_number "... load that jumps is told at once" "($(upward extra_reports) - $before)" ">" 0 "extra reports"
lab_wait 8 "" site ".completions == $(($(served c) + $(served d) - total))" || true
check_equal "... and completions are those of both logs" "$(site .completions)" "$(($(served c) + $(served d) - total))"

lab_stop agent-d KILL
lab_stop server-d KILL
check "an instance that is silent counts no more" "$(site .servers)" lab_wait 5 "" site '.servers == 2'
total=$(site .completions)
load 30 2
check_number "the other one serves, and totals go on" "($(site .completions) - $total)" ">" 20 "completions"
check "... and the site was never silent meanwhile" "$(grep silent "$LAB_DIR/control-edge.err")" heard
lab_stop agent-c KILL
check "without any it is silent at the edge" "$(lab_cli edge show routes)" lab_wait 5 "" silent
test_end
