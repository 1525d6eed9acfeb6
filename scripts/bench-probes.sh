#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-probes.sh [--json FILE] [--seconds N]: what it costs an edge to measure paths: processor time
# of suanlu-dataplane with 0, 100 and 1,000 paths of 10 probes a second, no other traffic. "user" is
# our own work (by the kernel's ticks, so roughly), the rest the kernel's for our system calls. Over
# veth a sender's system call would take each packet through the next hosts, too: the router has a
# thread for that here (NAPI).
#
# FILE gets a list of {"paths", "answered_per_s", "core_percent", "user_percent", "us_per_probe"}.

. "$(dirname "$0")/lab/checks.sh"

JSON=
SECONDS_EACH=20
while [ $# -gt 0 ]; do
    case $1 in
    --json) JSON=${2:?FILE}; shift ;;
    --seconds) SECONDS_EACH=${2:?N}; shift ;;
    *) echo "usage: bench-probes.sh [--json FILE] [--seconds N]" >&2; exit 2 ;;
    esac
    shift
done

# config PATHS: an edge with so many sites, all of them site a
config() {
    local i
    cat <<END
node: edge
address: fc00:e::1
run_dir: $LAB_DIR/edge
dataplane: {ports: [c0, o0], pins: 10k, huge_pages: false}
probes: {}
services: []
sites:
END
    for ((i = 0; i < $1; i++)); do
        echo "  - {name: s$i, sid: \"fc00:a:0:6::$(printf %x "$i")\", reflector: fc00:a::1}"
    done
    [ "$1" -gt 0 ] || echo "  - {name: s, sid: \"fc00:a:0:6::\"}"
}

answered() {
    lab_cli edge show paths --json | jq '[.paths[].answered] | add // 0'
}

all_answered() {
    lab_cli edge show paths --json | jq -e --argjson paths "$1" \
        '[.paths[] | select(.state == "alive")] | length == $paths'
}

# In user space, all threads, in ms: the kernel counts it in ticks
user_ms() {
    awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); split($0, field, " "); ticks += field[12] }
        END { print int(ticks * 1000 / hz) }' /proc/"$(lab_pid "$1")"/task/*/stat
}

measure() {
    local paths=$1 cpu before user
    config "$paths" >"$LAB_DIR/edge.yaml"
    lab_dataplane_start edge
    lab_control_start edge
    lab_wait 20 "$paths paths alive" all_answered "$paths"
    sleep 1
    cpu=$(lab_cpu_ms dataplane-edge) before=$(answered) user=$(user_ms dataplane-edge)
    sleep "$SECONDS_EACH"
    cpu=$(($(lab_cpu_ms dataplane-edge) - cpu)) user=$(($(user_ms dataplane-edge) - user))
    jq -n --argjson paths "$paths" --argjson cpu "$cpu" --argjson s "$SECONDS_EACH" --argjson user "$user" \
        --argjson answered "$(($(answered) - before))" '{paths: $paths,
            answered_per_s: ($answered / $s), core_percent: ($cpu / 10 / $s),
            user_percent: ($user / 10 / $s),
            us_per_probe: (if $answered > 0 then $cpu * 1000 / $answered else null end)}'
    lab_stop control-edge
    lab_stop dataplane-edge
    rm -rf "$LAB_DIR/edge"
}

test_lab
lab_in router sh -c 'ethtool -K e0 gro on && echo 1 >/sys/class/net/e0/threaded'
lab_reflector_start a
for paths in 0 100 1000; do
    measure "$paths"
done | jq -s . >"$LAB_DIR/probes.json"
jq -r '["PATHS", "ANSWERED/s", "CORE_%", "USER_%", "US/PROBE"], (.[] | [.paths, .answered_per_s,
    (.core_percent, .user_percent, .us_per_probe // 0 | . * 100 | round / 100)]) | @tsv' "$LAB_DIR/probes.json" | column -t
[ -z "$JSON" ] || cp "$LAB_DIR/probes.json" "$JSON"
check_number "100 paths of 10 probes a second" "$(jq '.[1].core_percent' "$LAB_DIR/probes.json")" "<=" 1 \
    "% of a core"
test_end
