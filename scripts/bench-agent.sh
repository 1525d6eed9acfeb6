#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-agent.sh [--json FILE]: what the agent costs its host while a service gets 20,000 new
# connections a second (scripts/lab/churn.c, in a namespace of its own), in percent of one core,
# by each way to watch them; in turns with none at all, so that a busy machine disturbs all alike.
# Clients, and the edge, are elsewhere, behind a TUN interface; in the case `kernel, clients here` both ends
# are this host's sockets, and BPF sees the events of both.
#
#   agent    CPU time of the agent's process
#   programs for BPF, the run time that the kernel counts for our programs, without what counting
#            costs itself: that is
#   clock    the run time that it counts for as many calls of a program that does nothing
#            (scripts/bench/nothing.c), beside ours; nobody pays that who does not count
#   each     CPU time of a connection with it and without, all of the kernel's work for it included,
#            and their ratio, with the standard error over the rounds
#
# cpu_percent is agent and programs together; the difference of `each` contains both once more,
# what it takes to call the programs, and the machine's noise.
set -euo pipefail

. "$(dirname "$0")/lab/lab.sh"

RATE=${RATE:-20000}
ROUNDS=${ROUNDS:-10}
SLICE_S=${SLICE_S:-2}
PORT=8080
LAB_ROLES=(a)
JSON=

[ "${1:-}" != --json ] || JSON=${2:?--json wants a file}
lab_need_root "$0"
trap 'lab_down; sysctl -qw kernel.bpf_stats_enabled="$STATS"' EXIT
trap 'exit 130' INT TERM
STATS=$(sysctl -n kernel.bpf_stats_enabled)

prepare() {
    local source
    mkdir -m 700 "$LAB_DIR"
    lab_identity $$ >"$LAB_DIR/owner"
    ip netns add "$(lab_ns a)"
    lab_in a ip link set lo up
    lab_in a ip tuntap add churn0 mode tun
    lab_in a ip addr add 10.9.0.1/16 dev churn0
    lab_in a ip link set churn0 up
    lab_in a sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1
    lab_key edge
    lab_key a
    for source in kernel sockets; do
        cat >"$LAB_DIR/agent-$source.yaml" <<END
key: $LAB_DIR/a.key
publish: {to: "10.9.255.1:7801", key: $(lab_public edge)}
services: {name: churn, port: $PORT, servers: 4, source: $source}
END
    done
}

ready() {
    grep -q "public key" "$LAB_DIR/agent-$1.err"
}

# programs PID: run time in ns, and calls, of its BPF programs so far
programs() {
    cat /proc/"$1"/fdinfo/* 2>/dev/null |
        awk '/^run_time_ns/ { ns += $2 } /^run_cnt/ { calls += $2 } END { print ns + 0, calls + 0 }'
}

# Of all but the first second, in which the service starts and the agent finds its processes.
mean() {
    awk 'NR > 4 { n++; r += $1; e += $2 } END { print r / n, e / n }' "$1"
}

# cost SOURCE: CPU time of the agent in ms, now in ms, run time in ns and calls of its programs
cost() {
    echo "$(lab_cpu_ms "agent-$1") $(($(date +%s%N) / 1000000)) $(programs "$(lab_pid "agent-$1")")"
}

# slice CASE SOURCE [TUN]: appends "CONNECTIONS_PER_S NS_EACH" to each-CASE, and to cost-CASE the
# agent's CPU time in ms, of so many ms, run time in ns and calls of its programs
slice() {
    local name=$1 source=$2 churn
    if [ "$source" != none ]; then
        : >"$LAB_DIR/agent-$source.err"
        lab_start "agent-$source" a "$LAB_BUILD/control/agent/suanlu-agent" \
            -c "$LAB_DIR/agent-$source.yaml"
        lab_wait 5 "agent by $source" ready "$source"
    fi
    lab_in a nice -n 19 "$LAB_TOOLS/churn" "$PORT" "$RATE" $((SLICE_S + 1)) "${@:3}" >"$LAB_DIR/churn" &
    churn=$!
    sleep 1
    [ "$source" = none ] || cost "$source" >"$LAB_DIR/before"
    wait "$churn"
    mean "$LAB_DIR/churn" >>"$LAB_DIR/each-$name"
    if [ "$source" != none ]; then
        cost "$source" | paste "$LAB_DIR/before" - |
            awk '{ print $5 - $1, $6 - $2, $7 - $3, $8 - $4 }' >>"$LAB_DIR/cost-$name"
        lab_stop "agent-$source"
    fi
}

# clocked CASE [TUN]: a slice with the kernel's clock on programs, and one beside that does nothing
clocked() {
    : >"$LAB_DIR/nothing.out"
    lab_start nothing a "$LAB_BUILD/scripts/bench/nothing"
    lab_wait 5 "a program that does nothing" lab_ready nothing
    slice "$1-clocked" kernel "${@:2}"
    lab_stop nothing
    tail -n 1 "$LAB_DIR/nothing.out" >>"$LAB_DIR/nothing-$1"
}

# figures CASE NONE TEXT: one JSON object; programs are those of the slices with the kernel's clock
figures() {
    paste "$LAB_DIR/each-$1" "$LAB_DIR/each-$2" | awk -v text="$3" -v cost="$LAB_DIR/cost-$1" \
        -v clocked="$LAB_DIR/cost-$1-clocked" -v nothing="$LAB_DIR/nothing-$1" '
        NF == 4 { rate += $1; with += $2; without += $4; d = $2 - $4; sum += d; sum2 += d * d; n++ }
        END {
            while ((getline line <cost) > 0) { split(line, c, " "); cpu += c[1]; ms += c[2] }
            while ((getline line <clocked) > 0) { split(line, c, " "); clocked_ms += c[2]; ns += c[3]; calls += c[4] }
            while ((getline line <nothing) > 0) { split(line, c, " "); nothings += c[1]; nothing_ns += c[2] }
            agent = cpu / ms * 100
            clock = nothings ? nothing_ns / nothings * calls / 1e6 / clocked_ms * 100 : 0
            programs = clocked_ms ? ns / 1e6 / clocked_ms * 100 - clock : 0
            printf "{\"case\": \"agent-overhead\", \"source\": \"%s\", \"per_second\": %d, ", text, rate / n
            printf "\"agent_percent\": %.2f, \"programs_percent\": %.2f, \"clock_percent\": %.2f, ", agent, programs, clock
            printf "\"ns_each\": %d, \"ns_without\": %d, ", with / n, without / n
            printf "\"ns_more\": %d, \"ns_error\": %d, ", sum / n, sqrt((sum2 / n - (sum / n) ^ 2) / n)
            printf "\"ratio\": %.4f, \"cpu_percent\": %.2f}\n", with / without, agent + programs
        }'
}

prepare
for _ in $(seq "$ROUNDS"); do
    slice none none churn0
    slice kernel kernel churn0
    slice sockets sockets churn0
    slice none-here none
    slice kernel-here kernel
done
# Once more with the kernel's own clock on the programs; it costs something itself.
sysctl -qw kernel.bpf_stats_enabled=1
for _ in 1 2 3 4; do
    clocked kernel churn0
    clocked kernel-here
done
sysctl -qw kernel.bpf_stats_enabled="$STATS"

{
    figures kernel none "kernel"
    figures kernel-here none-here "kernel, clients here"
    figures sockets none "sockets"
} >"$LAB_DIR/figures"
jq -r '"\(.source): \(.cpu_percent) % of a core at \(.per_second) connections/s " +
    "(agent \(.agent_percent), programs \(.programs_percent), and the clock itself \(.clock_percent)); a connection takes " +
    "\(.ns_each) ns instead of \(.ns_without): \(.ratio) x, +\(.ns_more) ± \(.ns_error) ns"' "$LAB_DIR/figures"
[ -z "$JSON" ] || jq -s . "$LAB_DIR/figures" >"$JSON"
