#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Sites that no edge has in its configuration announce themselves, by UDP and on a bus: an
# operator's approval bounds what counts of it, candidates come and go, and who has no approval,
# or shares a key, is named and counted.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# edge_config: services without any site, and an operator
edge_config() {
    cat >"$LAB_DIR/edge.yaml" <<END
node: edge
address: fc00:e::1
key: $LAB_DIR/edge.key
run_dir: $LAB_DIR/edge
dataplane: {ports: [c0, o0], pins: 100k, huge_pages: false}
metrics: {listen: "127.0.0.1:9801"}
$1
services:
  - {name: infer, ipv4: $LAB_IPV4, ipv6: "$LAB_IPV6", protocol: tcp, port: 80}
  - {name: stream, ipv4: $LAB_IPV4, ipv6: "$LAB_IPV6", protocol: tcp, port: $LAB_HOLD_PORT}
operators:
  - {name: telco, key: $(lab_public telco), delay_ms: 3}
END
}

# approve SITE OPERATOR OPTION...
approve() {
    "$LAB_BUILD/control/cli/suanlu" approve --operator-key "$LAB_DIR/$2.key" --site "$1" \
        --key "$(lab_public "$1")" --servers 8 --sid-prefix "fc00:$1::/32" "${@:3}" \
        >"$LAB_DIR/$1.approval"
}

# agent_config SITE WAY: announces both services
agent_config() {
    cat >"$LAB_DIR/agent-$1.yaml" <<END
key: $LAB_DIR/$1.key
site: $1
approval: $LAB_DIR/$1.approval
sid4: "fc00:$1:0:4::"
sid6: "fc00:$1:0:6::"
$2
services:
  - {name: infer, port: 80, servers: 64}
  - {name: stream, port: $LAB_HOLD_PORT, servers: 64}
END
}

# candidates SERVICE: its sites, as control has them
candidates() {
    lab_cli edge show services --json |
        jq -c --arg name "$1" '.services[] | select(.name == $name).sites | sort'
}

candidates_are() {
    [ "$(candidates "$1")" = "$2" ]
}

count_of() {
    lab_cli edge show status --json | jq --arg what "$1" '.announcements[$what]'
}

counted() {
    [ "$(count_of "$1")" -gt 0 ]
}

logged() {
    [ "$(grep -c "$1" "$LAB_DIR/control-edge.err")" = "$2" ]
}

# metric NAME LABELS: of the edge
metric() {
    lab_in edge curl -s http://127.0.0.1:9801/metrics | grep -F "suanlu_$1_total{$2} " | cut -d' ' -f2
}

answered() {
    lab_in client curl -sf --max-time 0.5 "http://$LAB_IPV4/work"
}

UDP="publish: {to: \"[fc00:e::1]:7801\", key: EDGE}"

test_lab
for name in edge a b c telco stranger; do
    lab_key "$name"
done
UDP=${UDP/EDGE/$(lab_public edge)}
edge_config 'telemetry: {listen: "[fc00:e::1]:7801"}'
approve a telco
approve b telco --service infer --days 1
approve c stranger
for site in a b; do
    lab_server_start "$site" 8 30
done
for site in a b c; do
    agent_config "$site" "$UDP"
done
lab_node_start edge
check_equal "candidates before anybody is announced" "$(candidates infer)" "[]"

lab_agent_start a
check "site a is a candidate" "$(candidates infer)" lab_wait 5 "" candidates_are infer '["a"]'
check "and its requests are answered" "no answer" lab_wait 5 "" answered
check "it is heard" "not fresh" lab_wait 3 "" lab_site_is a fresh
check_equal "and claims no more servers than approved" \
    "$(lab_cli edge show sites --json | jq '[.sites[].services[].servers] | max')" 8

lab_agent_start b
check "site b comes too" "$(candidates infer)" lab_wait 5 "" candidates_are infer '["a","b"]'
check_equal "for the service that it may offer only" "$(candidates stream)" '["a"]'
check "the other is counted" "not counted" counted service-denied
check "and named once" "see the log" logged "service stream, which its approval does not allow" 1
check_equal "show announcements" "$(lab_cli edge show announcements --json |
    jq -c '[.announcements[] | [.site, .operator, .services, .denied]] | sort')" \
    '[["a","telco",["infer","stream"],""],["b","telco",["infer"],"stream"]]'

check "a reload keeps who is announced" "$(candidates infer)" \
    sh -c "\"$LAB_BUILD/control/cli/suanlu\" --run-dir \"$LAB_DIR/edge\" reload"
check_equal "all of them" "$(candidates infer)" '["a","b"]'
lab_stop agent-b # until it has gone, 10 s, there is time for more

lab_agent_start c
check "a site that another operator approved is counted" "not counted" \
    lab_wait 5 "" counted unapproved
check "and named" "see the log" logged "announcement refused (unapproved)" 1
check "and no candidate" "$(candidates infer)" test "$(candidates infer | jq 'index("c")')" = null
check_number "and in /metrics" "$(metric site_announcements 'result="unapproved"')" ">" 0 "announcements"
check_number "and so is what a site may not offer" \
    "$(metric site_announcements 'result="service-denied"')" ">" 0 "announcements"

# The same key on another host.
sed "s/^services/interval_ms: 110\n&/" "$LAB_DIR/agent-a.yaml" >"$LAB_DIR/agent-twin.yaml"
lab_start agent-twin b "$LAB_BUILD/control/agent/suanlu-agent" -c "$LAB_DIR/agent-twin.yaml"
check "two agents with one key are named, once" "see the log" \
    lab_wait 5 "" logged "site a: two agents publish with its key" 1
check_number "and counted in /metrics" "$(metric site_key_conflicts 'site="a"')" ">" 0 "times"
check "its numbers still count" "not fresh" lab_site_is a fresh
lab_stop agent-twin
lab_stop agent-c

check "a site that is silent goes" "$(candidates infer)" \
    lab_wait 14 "" candidates_are infer '["a"]'
check "site a stays" "no answer" answered

# On the bus an edge that starts finds the announcement of a site in the bucket.
lab_stop control-edge
lab_stop agent-a
lab_bus_start 1
URL="nats://[${LAB_BUS_ADDRESSES[0]}]:$LAB_BUS_PORT"
edge_config "bus: \"$URL\""
agent_config a "bus: \"$URL\""
lab_control_start edge
lab_wait 5 "the edge on the bus" lab_bus_is edge true
lab_agent_start a
check "site a is announced on the bus" "$(candidates infer)" \
    lab_wait 8 "" candidates_are infer '["a"]'
check "and heard" "not fresh" lab_wait 5 "" lab_site_is a fresh
check "requests are answered" "no answer" lab_wait 5 "" answered
test_end
