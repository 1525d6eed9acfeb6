#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The agent's endpoints: recorded scrapes, ORCA, Debian's real node exporter, and everything an
# endpoint can do wrong. Reports are read by a decoder of the test's own.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
LAB_ROLES=(a)
DATA=$LAB_TOP/tests/data/scrapes

# order NAME ORDER...: what the endpoint does from now on; whole at once, as it is read any time
order() {
    echo "${@:2}" >"$LAB_DIR/orders/.$1"
    mv "$LAB_DIR/orders/.$1" "$LAB_DIR/orders/$1"
}

# report FILTER: of the last report
report() {
    tail -n 1 "$LAB_DIR/receive.out" | jq -c "$1" 2>/dev/null
}

reported() {
    report "$1" | grep -qx true
}

# says TEXT TIMES: lines of the agent's log with it
says() {
    [ "$(grep -cF -- "$1" "$LAB_DIR/agent.err")" = "$2" ]
}

LATE="chat: http://127.0.0.1:8000/chat: no whole answer in time"

lines() {
    grep -cF -- "$1" "$LAB_DIR/agent.err" || true
}

# named_once TEXT BEFORE LATE_BEFORE: once since; or once more after each answer that a slow machine
# made late, which is another trouble
named_once() {
    local named=$(($(lines "$1") - $2)) late=$(($(lines "$LATE") - $3))
    [ "$1" != "$LATE" ] || late=0
    [ "$named" -ge 1 ] && [ "$named" -le $((1 + late)) ]
}

# Also by what it says: a slow machine's late answer is told again only after it was well.
well() {
    reported 'has("chat")' && ! grep -E 'chat: .*(left out of reports|answers again)' "$LAB_DIR/agent.err" |
        tail -n 1 | grep -q 'left out'
}

service() {
    cat <<END
  - name: $1
    servers: 16
    source: ${2:-metrics}
    url: http://127.0.0.1:${4:-8000}/$1
    scrape_ms: 200
    ${3:-mapping: vllm}
END
}

lab_need_root "$0"
trap test_over EXIT
mkdir -m 700 "$LAB_DIR"
mkdir "$LAB_DIR/orders"
lab_identity $$ >"$LAB_DIR/owner"
ip netns add "$(lab_ns a)"
lab_in a ip link set lo up
lab_key edge
lab_key a
{
    cat <<END
key: $LAB_DIR/a.key
publish: {to: "127.0.0.1:7801", key: $(lab_public edge)}
services:
  - name: web
    port: 8000
    servers: 64
    url: http://127.0.0.1:9100/metrics
    mapping: node
    scrape_ms: 200
END
    service chat
    service good
    service triton metrics "mapping: triton"
    service orca orca "# mapped by itself"
    service dead metrics "mapping: envoy" 8001
    service wrong metrics "mapping: envoy"
    service six
    service named
    service lost
} | sed 's|127.0.0.1:8000/six|[::1]:8000/six|; s|127.0.0.1:8000/named|named.example:8000/named|
    s|127.0.0.1:8000/lost|lost.example:8000/lost|' >"$LAB_DIR/agent.yaml"
order chat file "$DATA/vllm-1.txt"
order good file "$DATA/vllm-1.txt"
order triton file "$DATA/triton-1.txt"
order orca file "$DATA/orca-1.json"
order wrong file "$DATA/vllm-1.txt"
order six file "$DATA/vllm-1.txt"
order named file "$DATA/vllm-1.txt"
# Names: by the hosts file, and by a name server that never answers.
echo "nameserver 127.0.0.1" >"$LAB_DIR/resolv.conf"
echo "127.0.0.1 named.example" >"$LAB_DIR/hosts"
lab_start names a /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 53)); time.sleep(600)'

lab_start endpoint a /usr/bin/python3 "$LAB_TOP/tests/net/agent-endpoint.py" 8000 "$LAB_DIR/orders"
lab_start exporter a prometheus-node-exporter --no-collector.systemd --web.listen-address=127.0.0.1:9100
lab_start receive a /usr/bin/python3 "$LAB_TOP/tests/net/agent-receive.py" 7801
lab_wait 5 "the endpoint" lab_in a curl -sf http://127.0.0.1:8000/chat
lab_wait 5 "the exporter" lab_in a curl -sf http://127.0.0.1:9100/metrics
# its names, as resolv.conf may be a link to what is not there in a container
lab_start agent a unshare --mount sh -c "mount --bind '$LAB_DIR/resolv.conf' /etc/resolv.conf &&
    mount --bind '$LAB_DIR/hosts' /etc/hosts && exec '$LAB_BUILD/control/agent/suanlu-agent' -c '$LAB_DIR/agent.yaml'"

check "vLLM: in flight and queued" "not reported" lab_wait 5 "" reported \
    '.chat.in_flight == 12 and .chat.queued == 3 and .chat.servers == 16'
check "vLLM: nothing is made up of one scrape" "a service time" \
    reported '.chat | has("service_time_s") | not'
check "ORCA: in flight by utilisation" "not reported" lab_wait 5 "" reported \
    '.orca.in_flight == 12 and .orca.cpu_utilisation == 1'
order chat file "$DATA/vllm-2.txt"
check "vLLM: mean service time by the counters" "not 2 s" lab_wait 5 "" reported \
    '.chat.service_time_s > 1.999 and .chat.service_time_s < 2.001 and .chat.in_flight == 14'
check "a metric has all fields of the draft" "not so" reported \
    '.chat.metric.kv_cache_usage | .format == "float" and .unit == "none" and
     .source == "directly measured" and .statistics == "cur" and .value == 0.46875'
check "node exporter: CPU and memory of the host" "not reported" lab_wait 8 "" reported \
    '.web.metric | .memory_used.value > 0 and .load1.value >= 0 and .cpu_pressure.value >= 0'
check "connections are measured beside it" "not so" lab_wait 5 "" reported \
    '.web.servers == 64 and .web.arrivals > 20 and (.web.metric | has("delay_raw"))'
check "an endpoint that is not there: not reported" "reported" reported 'has("dead") | not'
check "... and named once" "not once" says "dead: http://127.0.0.1:8001/dead: no answer" 1
check "an endpoint at an IPv6 address, and one by name" "not reported" lab_wait 5 "" reported \
    '.six.in_flight == 12 and .named.in_flight == 12'
check "a mapping that finds nothing is named" "not so" lab_wait 5 "" \
    says "wrong: http://127.0.0.1:8000/wrong: it answers, but nothing in it tells in_flight or service_time_s (mapping: envoy" 1
check "a name that nobody answers for is named" "not so" lab_wait 5 "" \
    says "lost: http://lost.example:8000/lost: no name server tells the address of its host in time" 1
before=$(wc -l <"$LAB_DIR/receive.out")
sleep 2
check_number "... and holds up no report" "($(wc -l <"$LAB_DIR/receive.out") - $before)" ">" 14 "in 2 s"

# One wrong after the other; `good` stays as it is.
while IFS='|' read -r what act text; do
    order chat file "$DATA/vllm-2.txt"
    lab_wait 5 "chat is well again" well || true
    before=$(lines "$text") late=$(lines "$LATE")
    # shellcheck disable=SC2086 # words are wanted
    order chat $act
    check "$what: left out of reports" "still reported" lab_wait 10 "" reported 'has("chat") | not'
    check "$what: named once" "$(grep -F 'chat:' "$LAB_DIR/agent.err" | tail -n 2)" \
        lab_wait 5 "" named_once "$text" "$before" "$late"
    check "$what: harms nobody else" "not so" lab_wait 3 "" reported '.good.in_flight == 12 and has("web")'
done <<'END'
hangs|hang|chat: http://127.0.0.1:8000/chat: no whole answer in time
status 503|status 503|chat: http://127.0.0.1:8000/chat: HTTP status 503
garbage|file /bin/ls|chat: http://127.0.0.1:8000/chat: no samples in its answer
END
order chat file "$DATA/vllm-2.txt"
lab_wait 5 "chat is well again" well || true
for act in drip endless close; do
    order chat "$act"
    check "$act: left out of reports" "still reported" lab_wait 10 "" reported 'has("chat") | not'
    order chat file "$DATA/vllm-2.txt"
    check "$act: well again afterwards" "not reported" lab_wait 10 "" reported 'has("chat")'
done

order chat file "$DATA/vllm-1.txt"
check "counters that fall are named" "not named" lab_wait 5 "" says "chat: http://127.0.0.1:8000/chat: a counter fell" 1
check "... and the total does not" "it fell" reported '.chat.completions == 60'
sed 's/engine="0"/engine="7"/' "$DATA/vllm-2.txt" >"$LAB_DIR/changed.txt"
order chat file "$LAB_DIR/changed.txt"
check "labels that change are named" "not named" lab_wait 5 "" says "chat: http://127.0.0.1:8000/chat: series came or went" 1
check "... and add nothing for once" "they did" reported '.chat.completions == 60'
sed 's/} 12.0/} NaN/; s/^vllm:request_success.*length.*/&x/' "$DATA/vllm-1.txt" >"$LAB_DIR/nan.txt"
order chat file "$LAB_DIR/nan.txt"
check "NaN is named" "not named" lab_wait 5 "" says "chat: http://127.0.0.1:8000/chat: a value is NaN" 1
check "a bad line is named" "not named" lab_wait 5 "" says "chat: http://127.0.0.1:8000/chat: 1 of" 1

COUNTED='chat: [0-9]+ scrapes, [1-9][0-9]* failed, [1-9][0-9]* bad lines, [1-9][0-9]* counter resets, [1-9][0-9]* series changes, [1-9][0-9]* strange'
kill -USR1 "$(lab_pid agent)"
check "SIGUSR1: it tells what it counted" "$(grep 'chat:.*scrapes' "$LAB_DIR/agent.err")" \
    lab_wait 5 "" grep -qE "$COUNTED" "$LAB_DIR/agent.err"

# All that has been wrong since, at each scrape.
check "what stays wrong is not named again" "$(grep -F chat: "$LAB_DIR/agent.err" | tail -n 3)" \
    eval 'says "chat: http://127.0.0.1:8000/chat: a value is NaN" 1 &&
        says "chat: http://127.0.0.1:8000/chat: 1 of" 1'
check "... and harms nobody else" "not so" lab_wait 3 "" reported '.good.in_flight == 12 and has("web")'

# A reload ends it if its configuration is good, for systemd to start it again.
sed 's/scrape_ms: 200/scrape_ms: 1/' "$LAB_DIR/agent.yaml" >"$LAB_DIR/wrong.yaml"
cp "$LAB_DIR/agent.yaml" "$LAB_DIR/right.yaml"
cp "$LAB_DIR/wrong.yaml" "$LAB_DIR/agent.yaml"
kill -HUP "$(lab_pid agent)"
check "SIGHUP with a wrong configuration is refused" "not so" lab_wait 5 "" \
    says "scrape_ms: expected 100..60000, found 1; the configuration before stays in force" 1
check "... and it goes on" "it ended" lab_alive agent
mv "$LAB_DIR/right.yaml" "$LAB_DIR/agent.yaml"
kill -HUP "$(lab_pid agent)"
check "... with a good one it ends" "it runs" lab_wait 5 "" lab_dead agent
check "and the summary tells it again" "$(grep 'chat:.*scrapes' "$LAB_DIR/agent.err")" \
    test "$(grep -cE "$COUNTED" "$LAB_DIR/agent.err")" = 2
test_end
