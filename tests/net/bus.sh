#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Reports over a NATS cluster of three whose servers are killed, one hangs, all vanish: no gap of
# reports over 2 s as long as one lives, and never a request that fails. Last values in the
# bucket let a restarted edge route at once.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# The server that the edge, or an agent, is connected to: its number.
server_of_edge() {
    local server
    server=$(lab_cli edge show status --json | jq -r .bus.server)
    for n in 1 2 3; do
        [ "$server" != "[${LAB_BUS_ADDRESSES[n - 1]}]:$LAB_BUS_PORT" ] || echo "$n"
    done
}

all_fresh() {
    lab_cli edge show sites --json | jq -e 'all(.sites[]; .state == "fresh")'
}

# watch SECONDS: the highest age of any site's report over so long, in ms
watch_ages() {
    local until=$(($(date +%s%N) + $1 * 1000000000)) oldest=0 age
    while [ "$(date +%s%N)" -lt "$until" ]; do
        age=$(lab_cli edge show sites --json | jq '[.sites[].age_ms] | max | round')
        [ "$age" -le "$oldest" ] || oldest=$age
        sleep 0.03
    done
    echo "$oldest"
}

requests_start() {
    rm -f "$LAB_DIR/load.out"
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 60 --constant --seconds 600 --timeout 3000
}

requests_end() {
    lab_stop load INT
    check_equal "requests $1: some done, failed" \
        "$(tail -n 1 "$LAB_DIR/load.out" | jq -c '[.done > 20, .failed]')" "[true,0]"
}

test_lab
lab_bus_start 3
LAB_BUS=$(lab_bus_urls 3)
lab_engine_up 8 8 8
check "the edge is connected to the bus" "see show status" lab_wait 5 "" lab_bus_is edge true
check_equal "... and its start did not break that again" \
    "$(grep -c 'bus: not connected' "$LAB_DIR/control-edge.err")" 0
check_equal "reports refused" \
    "$(lab_cli edge show reports --json | jq '[.reports | to_entries[] | select(.key != "accepted").value] | add')" 0

requests_start
n=$(server_of_edge)
lab_stop "bus-n$n" KILL
check_number "oldest report while the edge's server is killed" "$(watch_ages 2)" "<" 2000 ms
check "the edge has another server" "see show status" test "$(server_of_edge)" != "$n"
lab_bus_server "$n" 3
for other in 1 2 3; do
    [ "$other" = "$n" ] || [ "$other" = "$(server_of_edge)" ] || break
done
lab_stop "bus-n$other" KILL
check_number "oldest report while another is killed" "$(watch_ages 2)" "<" 2000 ms
lab_bus_server "$other" 3
n=$(server_of_edge)
kill -STOP "$(lab_pid "bus-n$n")"
check_number "oldest report while the edge's server hangs" "$(watch_ages 3)" "<" 2500 ms
kill -CONT "$(lab_pid "bus-n$n")"
requests_end "all the while"

requests_start
for n in 1 2 3; do
    lab_stop "bus-n$n" KILL
done
check "without a bus the edge says so" "see show status" lab_wait 5 "" lab_bus_is edge false
check_equal "nor is there a bucket" "$(lab_cli edge show status --json | jq .bus.bucket)" false
sleep 0.7 # the reports' validity passes
check_equal "and its routes stay" "$(lab_cli edge show routes --json |
    jq -c '[.routes[] | select(.service == "infer") | .usable and (.why | test("last routes"))] | any')" true
requests_end "without a bus"
grep -q "bus: not connected" "$LAB_DIR/control-edge.err" || not_ok "the log names it" "no line"
for n in 1 2 3; do
    lab_bus_server "$n" 3
done
check "with the bus back all sites are heard" "not fresh" lab_wait 10 "" all_fresh

has_bucket() {
    lab_cli edge show status --json | jq -e .bus.bucket
}
check "and a bucket is there again" "see show status" lab_wait 30 "" has_bucket

# A site that says something seldom: an edge that starts finds its last report in the bucket.
lab_stop agent-c
lab_in c "$LAB_BUILD/control/cli/suanlu" publish --key "$LAB_DIR/c.key" --site c \
    --bus "nats://[${LAB_BUS_ADDRESSES[0]}]:$LAB_BUS_PORT" --service infer --servers 8 \
    --service-time-ms 30 --in-flight 1 --queued 0 --valid-for-ms 30000
check "a report published once is heard" "not fresh" lab_wait 5 "" lab_site_is c fresh
lab_stop control-edge KILL
lab_control_start edge
check "a restarted edge has the last report of each site" "not fresh" lab_wait 5 "" all_fresh
check_equal "and read the bucket" \
    "$(lab_cli edge show status --json | jq .bus.last_values_read)" true
test_end
