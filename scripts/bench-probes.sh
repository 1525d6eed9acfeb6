#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-probes.sh [--json FILE] [--seconds N]: what it costs an edge to measure paths: processor time
# of suanlu-dataplane for 100 and 1,000 paths of 10 probes a second, no other traffic.
#
#	card	a worker that polls a port of its own (net_memif in the card's place; our gateway
#		answers): its time for probes and answers, as it counts it (suanlu/paths.h)
#	af_xdp	a worker that sleeps, on virtual interfaces: what the whole process takes more than
#		without paths. Besides the same work that is ten wake-ups a second, and the kernel's way
#		through the interface, which for a veth includes the next host's, unless that has a
#		thread for it, as the router does here (NAPI).
#
# FILE gets a list of {"ports", "paths", "answered_per_s", "core_percent", "us_per_probe"}.

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

# config PORTS PATHS SID REFLECTOR: an edge with so many sites, all of them the same
config() {
    local i
    cat <<END
node: edge
address: fc00:e::1
run_dir: $LAB_DIR/edge
dataplane: {ports: [$1], pins: 10k, huge_pages: false}
probes: {}
services: []
sites:
END
    for ((i = 0; i < $2; i++)); do
        echo "  - {name: s$i, sid: \"$3$(printf %x "$i")\", reflector: $4}"
    done
    [ "$2" -gt 0 ] || echo "  - {name: s, sid: \"$3\"}"
}

paths() {
    lab_cli edge show paths --json
}

all_answered() {
    paths | jq -e --argjson paths "$1" '[.paths[] | select(.state == "alive")] | length == $paths'
}

process_ms() {
    lab_cpu_ms dataplane-edge
}

worker_ms() {
    paths | jq '.spent_s * 1000'
}

# measure NAME PATHS BEFORE_MS COUNT: of edge.yaml; COUNT prints processor time, of which BEFORE_MS are not
# for measuring
measure() {
    local count=$4 spent answered
    lab_dataplane_start edge
    lab_control_start edge
    lab_wait 20 "$2 paths alive" all_answered "$2"
    sleep 1
    spent=$($count) answered=$(paths | jq '[.paths[].answered] | add // 0')
    sleep "$SECONDS_EACH"
    paths | jq --arg ports "$1" --argjson paths "$2" --argjson s "$SECONDS_EACH" --argjson before "$3" \
        --argjson spent "$spent" --argjson now "$($count)" --argjson answered "$answered" '
        ($now - $spent - $before) as $ms | ([.paths[].answered] | add // 0 | . - $answered) as $n |
        {ports: $ports, paths: $paths, answered_per_s: ($n / $s), core_percent: ($ms / 10 / $s),
         us_per_probe: (if $n > 0 then $ms * 1000 / $n else null end)}'
    lab_stop control-edge
    lab_stop dataplane-edge
    rm -rf "$LAB_DIR/edge"
}

measure_af_xdp() {
    local number idle
    lab_in router sh -c 'ethtool -K e0 gro on && echo 1 >/sys/class/net/e0/threaded'
    lab_reflector_start a
    config c0,o0 0 fc00:a:0:6:: >"$LAB_DIR/edge.yaml"
    idle=$(measure af_xdp 0 0 process_ms | jq --argjson s "$SECONDS_EACH" '.core_percent * 10 * $s')
    for number in 100 1000; do
        config c0,o0 "$number" fc00:a:0:6:: fc00:a::1 >"$LAB_DIR/edge.yaml"
        measure af_xdp "$number" "$idle" process_ms
    done
    lab_stop reflector-a
}

# card ROLE: of memif
card() {
    echo "{name: m0, device: \"net_memif0,role=$1,socket=$LAB_DIR/memif,socket-abstract=no\"}"
}

# card_up ROLE OWN PEER PREFIX: its tap, and the way to the other's PREFIX
card_up() {
    lab_in "$1" sh -c "ip tuntap add m0 mode tap && ip link set m0 up && ip addr add $2/64 dev m0 nodad &&
        ip route replace $4 via $3"
}

measure_card() {
    local number
    card_up edge fc00:99::1 fc00:99::2 fc00:c::/32
    card_up gate fc00:99::2 fc00:99::1 fc00:e::/32
    cat >"$LAB_DIR/gate.yaml" <<END
node: gate
address: fc00:c::1
run_dir: $LAB_DIR/gate
dataplane: {ports: [$(card server)], pins: 10k, huge_pages: false, sids: ["fc00:c:0:46::/64"]}
probes: {}
services: []
sites: [{name: s, sid: "fc00:a:0:6::"}]
END
    lab_dataplane_start gate
    for number in 100 1000; do
        config "$(card client)" "$number" fc00:c:0:46:: fc00:c::1 >"$LAB_DIR/edge.yaml"
        measure card "$number" 0 worker_ms
    done
    lab_stop dataplane-gate
}

# core_percent PORTS PATHS
core_percent() {
    jq --arg ports "$1" --argjson paths "$2" \
        '.[] | select(.ports == $ports and .paths == $paths).core_percent' "$LAB_DIR/probes.json"
}

test_lab
{
    measure_card
    measure_af_xdp
} | jq -s . >"$LAB_DIR/probes.json"
jq -r '["PORTS", "PATHS", "ANSWERED/s", "CORE_%", "US/PROBE"], (.[] | [.ports, .paths,
    (.answered_per_s, .core_percent, .us_per_probe | . * 100 | round / 100)]) | @tsv' "$LAB_DIR/probes.json" |
    column -t
[ -z "$JSON" ] || cp "$LAB_DIR/probes.json" "$JSON"
check_number "100 paths of 10 probes a second, by a card" "$(core_percent card 100)" "<=" 0.1 "% of a core"
# In the kernel's hands, whose part is not ours to bound.
check_number "the same over veth, asleep between" "$(core_percent af_xdp 100)" "<=" 0.3 "% of a core"
test_end
