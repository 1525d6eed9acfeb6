#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-agent.sh [--json FILE]: what the agent costs while a service gets 20,000 new connections a
# second, in percent of one core, by each way to watch them. Both ends of the connections are on
# this host (scripts/lab/churn.c), in a namespace of its own.
#
# Of each way, in turns with none at all so that a busy machine disturbs all alike:
#   agent    CPU time of the agent's process
#   kernel   what a connection costs more than without (CPU time of churn, in which all the
#            kernel's work for loopback is done; medians), times 20,000
#   programs for BPF, the run time that the kernel counts for our programs, clock reads included
set -euo pipefail

. "$(dirname "$0")/lab/lab.sh"

RATE=${RATE:-20000}
ROUNDS=${ROUNDS:-5}
SLICE_S=${SLICE_S:-3}
PORT=8080
LAB_ROLES=(a)
JSON=

[ "${1:-}" != --json ] || JSON=${2:?--json wants a file}
lab_need_root "$0"
trap 'lab_down; sysctl -qw kernel.bpf_stats_enabled="$STATS"' EXIT
trap 'exit 130' INT TERM
STATS=$(sysctl -n kernel.bpf_stats_enabled)

prepare() {
    mkdir -m 700 "$LAB_DIR"
    lab_identity $$ >"$LAB_DIR/owner"
    ip netns add "$(lab_ns a)"
    lab_in a ip link set lo up
    lab_in a sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1
    lab_key edge
    lab_key a
    local source
    for source in kernel sockets; do
        cat >"$LAB_DIR/agent-$source.yaml" <<END
key: $LAB_DIR/a.key
publish: {to: "127.0.0.1:7801", key: $(lab_public edge)}
services: {name: churn, port: $PORT, servers: 4, source: $source}
END
    done
}

ready() {
    grep -q "public key" "$LAB_DIR/agent-$1.err"
}

# programs_ns PID: run time of its BPF programs so far
programs_ns() {
    cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '/^run_time_ns/ { ns += $2 } END { print ns + 0 }'
}

# slice SOURCE: appends "CONNECTIONS_PER_S NS_EACH" of each second, and the agent's cost
slice() {
    local source=$1 pid cpu_ms ns start_ns elapsed_ms
    if [ "$source" != none ]; then
        : >"$LAB_DIR/agent-$source.err"
        lab_start "agent-$source" a "$LAB_BUILD/control/agent/suanlu-agent" \
            -c "$LAB_DIR/agent-$source.yaml"
        lab_wait 5 "agent by $source" ready "$source"
        pid=$(lab_pid "agent-$source")
        cpu_ms=$(lab_cpu_ms "agent-$source")
        ns=$(programs_ns "$pid")
    fi
    start_ns=$(date +%s%N)
    lab_in a nice -n 19 "$LAB_TOOLS/churn" "$PORT" "$RATE" "$SLICE_S" >>"$LAB_DIR/churn-$source"
    if [ "$source" != none ]; then
        elapsed_ms=$((($(date +%s%N) - start_ns) / 1000000))
        echo "$(($(lab_cpu_ms "agent-$source") - cpu_ms)) $(($(programs_ns "$pid") - ns)) $elapsed_ms" \
            >>"$LAB_DIR/cost-$source"
        lab_stop "agent-$source"
    fi
}

# median COLUMN FILE
median() {
    awk -v c="$1" '{ print $c }' "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# figures SOURCE: one JSON object
figures() {
    local source=$1 each without
    each=$(median 2 "$LAB_DIR/churn-$source")
    without=$(median 2 "$LAB_DIR/churn-none")
    awk -v source="$source" -v rate="$(median 1 "$LAB_DIR/churn-$source")" -v each="$each" \
        -v without="$without" -v target="$RATE" '
        { cpu += $1; ns += $2; ms += $3 }
        END {
            agent = cpu / ms * 100
            kernel = (each - without) * target / 1e9 * 100
            printf "{\"case\": \"agent-overhead\", \"source\": \"%s\", \"per_second\": %d, ", source, rate
            printf "\"agent_percent\": %.2f, \"kernel_percent\": %.2f, ", agent, kernel
            printf "\"ns_per_connection\": %d, \"without\": %d, ", each, without
            printf "\"cpu_percent\": %.2f}\n", agent + (kernel > 0 ? kernel : 0)
        }' "$LAB_DIR/cost-$source"
}

prepare
for _ in $(seq "$ROUNDS"); do
    for source in none kernel sockets; do
        slice "$source"
    done
done
{ figures kernel; figures sockets; } >"$LAB_DIR/figures"

# Once more with the kernel's own clock on the programs; it costs something itself.
rm "$LAB_DIR/cost-kernel"
sysctl -qw kernel.bpf_stats_enabled=1
slice kernel
sysctl -qw kernel.bpf_stats_enabled="$STATS"
awk -v rate="$(tail -n 1 "$LAB_DIR/churn-kernel" | cut -d' ' -f1)" '{
    printf "{\"case\": \"agent-overhead\", \"source\": \"kernel, programs by their own clock\", "
    printf "\"per_second\": %d, \"cpu_percent\": %.2f}\n", rate, $2 / 1e6 / $3 * 100 }' \
    "$LAB_DIR/cost-kernel" >>"$LAB_DIR/figures"

jq -r '"\(.source): \(.cpu_percent) % of a core at \(.per_second) connections/s" +
    (if .agent_percent then " (agent \(.agent_percent), kernel \(.kernel_percent): " +
        "\(.ns_per_connection) ns each instead of \(.without))" else "" end)' "$LAB_DIR/figures"
[ -z "$JSON" ] || jq -s . "$LAB_DIR/figures" >"$JSON"
