#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The agent's two ways to watch connections against the server's own log: mean service time,
# counts, what is in flight and present at the moments of its reports. Once at half load, once
# overloaded so that connections wait in the accept queue. In namespaces of its own.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
LAB_ROLES=(a b)

WORKERS=8
MEAN_MS=20

port_of() {
    [ "$1" = kernel ] && echo 7801 || echo 7802
}

agent_config() {
    cat <<END
key: $LAB_DIR/a.key
publish:
  - to: "127.0.0.1:$(port_of "$1")"
    key: $(lab_public edge)
services:
  - name: infer
    port: 80
    servers: $WORKERS
    source: $1
END
}

agent_ready() {
    grep -q "public key" "$LAB_DIR/agent-$1.err"
}

# agent_figure SOURCE WORD: the number before that word in the summary
agent_figure() {
    sed -nE "s/.*infer:.*[ ,]([0-9.]+) (ms, )?$2.*/\1/p" "$LAB_DIR/agent-$1.err" | tail -n 1
}

agent_mean_ms() {
    sed -nE 's/.*mean service time ([0-9.]+) ms.*/\1/p' "$LAB_DIR/agent-$1.err" | tail -n 1
}

# measure NAME RATE SECONDS: load, both agents beside each other, then their summaries
measure() {
    local name=$1 rate=$2 seconds=$3 source log=$LAB_DIR/server-a.log logged
    local reports in_flight working present logged_present
    : >"$log"
    for source in kernel sockets; do
        agent_config "$source" >"$LAB_DIR/agent-$source.yaml"
        : >"$LAB_DIR/agent-$source.err"
        : >"$LAB_DIR/receive-$source.out"
        lab_start "receive-$source" a /usr/bin/python3 "$LAB_TOP/tests/net/agent-receive.py" "$(port_of "$source")"
        lab_start "agent-$source" a "$LAB_BUILD/control/agent/suanlu-agent" \
            -c "$LAB_DIR/agent-$source.yaml"
        lab_wait 5 "agent by $source" agent_ready "$source"
    done
    lab_in a chrt --rr 1 "$LAB_TOOLS/client" load --rate "$rate" --seconds "$seconds" --timeout 20000 \
        --to 127.0.0.1 >"$LAB_DIR/client.out" 2>&1 || cat "$LAB_DIR/client.out"
    for source in kernel sockets; do
        lab_stop "agent-$source"
        lab_stop "receive-$source"
    done
    logged=$(awk -F'\t' '{ n++; s += $3 - $2 } END { printf "%.3f", s / n / 1000 }' "$log")
    for source in kernel sockets; do
        check_number "$name: mean service time by $source ($(agent_mean_ms "$source") ms), log $logged ms" \
            "($(agent_mean_ms "$source") / $logged - 1) * 100 | fabs" "<" 5 "% off"
        read -r reports in_flight working present logged_present < <(
            "$LAB_TOP/tests/net/agent-in-flight.py" infer "$log" "$WORKERS" <"$LAB_DIR/receive-$source.out")
        check_number "$name: in flight by $source, over $reports reports ($in_flight), log $working" \
            "($in_flight / $working - 1) * 100 | fabs" "<" 5 "% off"
        check_number "$name: present by $source ($present), log $logged_present" \
            "($present / $logged_present - 1) * 100 | fabs" "<" 5 "% off"
    done
    check_equal "$name: arrivals by kernel" "$(agent_figure kernel arrivals)" "$(wc -l <"$log")"
    check_equal "$name: completions by kernel" "$(agent_figure kernel completions)" "$(wc -l <"$log")"
    check_equal "$name: nothing is left in flight" "$(agent_figure kernel 'in flight')" 0
}

lab_need_root "$0"
trap test_over EXIT
mkdir -m 700 "$LAB_DIR"
lab_identity $$ >"$LAB_DIR/owner"
# A dump walks the whole table of connections: a small one of its own, so that sampling is cheap
# enough to happen 100 times a second on any machine. Inherited from the namespace that makes it.
ip netns add "$(lab_ns b)"
lab_in b sysctl -qw net.ipv4.tcp_child_ehash_entries=1024
nsenter --net="/run/netns/$(lab_ns b)" ip netns add "$(lab_ns a)"
for role in a b; do
    lab_in "$role" ip link set lo up
done
lab_key edge
lab_key a
lab_server_start a "$WORKERS" "$MEAN_MS" --scv 1
# A connection that waits because the machine has no turn for the server, or for the client's request,
# is there for the kernel, and not in the server's log.
chrt --all-tasks --rr -p 1 "$(lab_pid server-a)"
# The same port in another namespace is another service, and must not be counted.
lab_server_start b "$WORKERS" "$MEAN_MS" --scv 1
lab_start client-b b "$LAB_TOOLS/client" load --rate 50 --seconds 25 --to 127.0.0.1
measure "half load" 200 10
measure "overload" 520 5

# Without the right to load BPF: auto goes the other way and says so, kernel refuses.
unprivileged() {
    agent_config "$1" >"$LAB_DIR/agent-$1.yaml"
    : >"$LAB_DIR/agent-$1.err"
    lab_start "agent-$1" a setpriv --bounding-set=-bpf,-perfmon,-sys_admin \
        "$LAB_BUILD/control/agent/suanlu-agent" -c "$LAB_DIR/agent-$1.yaml"
}
WHY="BPF is not allowed: it wants CAP_BPF and CAP_PERFMON"
unprivileged auto
check "without CAP_BPF, auto: sock_diag, and one line says why" "no such line" \
    lab_wait 5 "" grep -qxF "info: connections are sampled by sock_diag: $WHY" "$LAB_DIR/agent-auto.err"
check "... and it measures" "it does not" lab_wait 5 "" agent_ready auto
lab_stop agent-auto
unprivileged kernel
check "without CAP_BPF, kernel: refused with a remedy" "not so" lab_wait 5 "" \
    grep -qxF "suanlu-agent: source kernel: $WHY; remedy: run as root, or source: auto" \
    "$LAB_DIR/agent-kernel.err"
test_end
