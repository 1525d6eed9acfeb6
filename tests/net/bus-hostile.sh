#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One NATS server with TLS and JWT credentials, on which one user may publish anything: whatever it
# sends is counted under its reason, and others' reports and all requests go on. A second
# implementation of NATS and its credentials (bus.py) makes users and bad messages.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

URL="tls://[${LAB_BUS_ADDRESSES[0]}]:$LAB_BUS_PORT"

# kind of message and the reason it must be counted under
KINDS="subject:subject escape:subject empty:size noise:format huge:size unknown:unknown-key
    undecodable:decode broken:signature foreign:subject replay:replayed"

# certificate NAME DNS: a key and a certificate signed by itself
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -keyout "$LAB_DIR/$1.key.pem" -out "$LAB_DIR/$1.pem" -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$2" 2>>"$LAB_DIR/openssl.log"
}

counts() {
    lab_cli edge show reports --json | jq -Sc .reports
}

count_of() {
    counts | jq --arg reason "$1" '.[$reason]'
}

# send KIND SITE, as the user who may do anything
send() {
    lab_in "$2" /usr/bin/python3 "$LAB_TOP/tests/net/bus.py" send "$URL" "$LAB_DIR/server.pem" \
        "$LAB_DIR/anything.creds" "$1" "$2" "$(lab_public "$2")"
}

more_than() {
    [ "$(count_of "$1")" -gt "$2" ]
}

# publish OPTION...: a report of site a; prints what is said, gives the status
publish() {
    lab_in a "$LAB_BUILD/control/cli/suanlu" publish --key "$LAB_DIR/a.key" --site a --bus "$URL" \
        --server-name "${SERVER_NAME:-bus.lab}" --service infer --servers 8 "$@" 2>&1
}

refused() {
    local out
    ! out=$("$@") && echo "   $out"
}

# Each of these tries for 3 s: side by side. tried NAME COMMAND... , then was_refused NAME
tried() {
    { "${@:2}" >"$LAB_DIR/tried-$1" 2>&1 && echo published || echo refused; } >"$LAB_DIR/result-$1" &
}

was_refused() {
    lab_wait 8 "" grep -q . "$LAB_DIR/result-$1"
    grep -qx refused "$LAB_DIR/result-$1"
}

test_lab
certificate server bus.lab
certificate stranger bus.lab
for name in edge "${LAB_SITES[@]}"; do
    lab_key "$name"
done
LAB_BUS_MORE="tls { cert_file: \"$LAB_DIR/server.pem\", key_file: \"$LAB_DIR/server.key.pem\" }
$(/usr/bin/python3 "$LAB_TOP/tests/net/bus.py" authority "$LAB_DIR" edge= anything= \
    "a=\$KV.suanlu.site.a.>" "b=\$KV.suanlu.site.b.>" "c=\$KV.suanlu.site.c.>")"
lab_bus_start 1
LAB_BUS="{servers: \"$URL\", ca: $LAB_DIR/server.pem, server_name: bus.lab, credentials: $LAB_DIR/edge.creds}"
lab_config_edge
for site in "${LAB_SITES[@]}"; do
    LAB_BUS="{servers: \"$URL\", ca: $LAB_DIR/server.pem, server_name: bus.lab, credentials: $LAB_DIR/$site.creds}" \
        lab_config_agent "$site" 8
    lab_server_start "$site" 8 30
done
lab_config_gateway
lab_node_start gate
lab_node_start edge
for site in "${LAB_SITES[@]}"; do
    lab_agent_start "$site"
    check "site $site is heard over TLS with its credentials" "not fresh" \
        lab_wait 5 "" lab_site_is "$site" fresh
done

tried stranger publish --ca "$LAB_DIR/stranger.pem" --credentials "$LAB_DIR/a.creds"
SERVER_NAME=other.lab tried name publish --ca "$LAB_DIR/server.pem" --credentials "$LAB_DIR/a.creds"
tried nobody publish --ca "$LAB_DIR/server.pem"
check "a server with another certificate is refused" "$(cat "$LAB_DIR/tried-stranger")" was_refused stranger
check "and one with another name" "$(cat "$LAB_DIR/tried-name")" was_refused name
check "no report without credentials" "$(cat "$LAB_DIR/tried-nobody")" was_refused nobody
check "with all that is right it is taken" "$(cat "$LAB_DIR/tried-nobody")" \
    publish --ca "$LAB_DIR/server.pem" --credentials "$LAB_DIR/a.creds"
check "site b's user may not publish as site a" "it may" refused lab_in b /usr/bin/python3 \
    "$LAB_TOP/tests/net/bus.py" send "$URL" "$LAB_DIR/server.pem" "$LAB_DIR/b.creds" noise a \
    "$(lab_public a)"

for kind in $KINDS; do
    before=$(count_of "${kind#*:}")
    send "${kind%:*}" a
    check "${kind%:*} is counted as ${kind#*:}" "$(counts)" \
        lab_wait 3 "" more_than "${kind#*:}" "$before"
done
before=$(lab_cli edge show status --json | jq .bus.elsewhere)
send elsewhere a
elsewhere() {
    [ "$(lab_cli edge show status --json | jq .bus.elsewhere)" -gt "$before" ]
}
check "a site that is not configured is none of ours" "not counted" lab_wait 3 "" elsewhere
check "no escape sequence gets into the log" "it does" \
    test "$(grep -c $'\x1b' "$LAB_DIR/control-edge.err")" = 0

# of the bus, as its server has it
buckets() {
    lab_in "${LAB_BUS_ROLES[0]}" curl -gsf "http://[${LAB_BUS_ADDRESSES[0]}]:8222/jsz" | jq .streams
}

bucket_there() {
    [ "$(buckets)" = 1 ]
}

send delete a
check_equal "the bucket is deleted" "$(buckets)" 0

lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --rate 60 --constant --seconds 600 --timeout 3000
# oldest_while PID: the highest age of the others' reports as long as that runs, in ms
oldest_while() {
    local oldest=0 age
    while kill -0 "$1" 2>/dev/null; do
        age=$(lab_cli edge show sites --json |
            jq '[.sites[] | select(.name != "a").age_ms] | max | round')
        [ "$age" -le "$oldest" ] || oldest=$age
        sleep 0.05
    done
    echo "$oldest"
}

sleep 1 &
usual=$(oldest_while $!) # of a machine that has other things to do
cpu=$(lab_cpu_ms control-edge)
send flood a >"$LAB_DIR/flood.out" &
flood=$!
oldest=$(oldest_while "$flood")
wait "$flood"
cpu=$(($(lab_cpu_ms control-edge) - cpu))
echo "   $(cat "$LAB_DIR/flood.out") messages in 3 s as site a; $cpu ms of CPU time in control"
check_number "oldest report of the others while one subject is flooded ($usual before)" "$oldest" "<" \
    $((usual < 125 ? 500 : 4 * usual)) ms
check "the flood is counted" "$(counts)" more_than flood 1000
check "and named in the log" "no line" grep -q '(flood), the last from $KV.suanlu.site.a.0' \
    <(lab_wait 12 "" grep -q "(flood)" "$LAB_DIR/control-edge.err"; cat "$LAB_DIR/control-edge.err")
check "after it site a is heard again" "not fresh" lab_wait 5 "" lab_site_is a fresh
check "and the bucket was made anew" "$(buckets) buckets" lab_wait 8 "" bucket_there
lab_stop load INT
check_equal "requests all the while: some done, failed" \
    "$(tail -n 1 "$LAB_DIR/load.out" | jq -c '[.done > 50, .failed]')" "[true,0]"

# A last value of a site that died says nothing to an edge that starts.
lab_stop agent-a
sleep 0.7 # longer than its reports are valid
lab_stop control-edge
lab_control_start edge
check "a last value that is too old is counted as stale" "$(counts)" \
    lab_wait 5 "" more_than stale 0
check_equal "and its site was never heard" "$(lab_site_state a)" never
test_end
