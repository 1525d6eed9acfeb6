#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-latency.sh [--json FILE] [--out DIR] [--rounds N] [--count N]: one-way delay of a 64-byte
# request over veth
#
#	client e0 -- c0 [ edge ] o0 -- e0 router
#
# through a kernel bridge, through DPDK's testpmd in io mode over AF_XDP, and through
# suanlu-dataplane (pinned flow, SRv6 encapsulation), interleaved in rounds of one run. Both
# userspace programs poll on CPU 1; the sender and receiver spin on CPU 0. Prints p50, p99 and
# p99.9 per case (medians over the rounds) and the ratio of the p50 to testpmd's; draws the CDF.
# Then the delay inside of a worker that is loaded to 50, 80 and 95 % of what it can do
# (bench-fastpath.sh --loads).
set -euo pipefail

usage() {
    sed -n '4,16s/^# \{0,1\}//p' "$0"
}

JSON=
OUT=out
ROUNDS=5
COUNT=10000
LOADS=50,80,95 # percent
while [ $# -gt 0 ]; do
    case $1 in
    --json | --out | --rounds | --count)
        [ $# -ge 2 ] || { usage >&2; exit 1; }
        case $1 in --json) JSON=$2 ;; --out) OUT=$2 ;; --rounds) ROUNDS=$2 ;; *) COUNT=$2 ;; esac
        shift
        ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 1 ;;
    esac
    shift
done

. "$(dirname "$0")/lab/checks.sh"
lab_need_root scripts/bench-latency.sh
"$LAB_TOP/scripts/install.sh" --bench
[ -e "$LAB_BUILD/build.ninja" ] || meson setup "$LAB_BUILD" "$LAB_TOP" --buildtype=release >/dev/null
ninja -C "$LAB_BUILD" | tail -n 5
mkdir -p "$OUT"

CASES=(kernel-bridge testpmd-af-xdp suanlu)

bridge_up() {
    lab_ip edge <<END
link add br0 type bridge
link set c0 master br0
link set o0 master br0
link set br0 up
END
    # a bridge and no more: what the machine's firewall does with forwarded packets is not asked
    lab_in edge sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
}

# It ends when its standard input does: a pipe that this script holds open.
testpmd_up() {
    [ -p "$LAB_DIR/stdin" ] || mkfifo "$LAB_DIR/stdin"
    exec 9<>"$LAB_DIR/stdin"
    lab_start testpmd edge sh -c 'exec dpdk-testpmd --no-huge -m 256 --no-pci --file-prefix=bench-$$ --lcores 0@0,1@1 \
        --vdev net_af_xdp0,iface=c0,busy_budget=0 --vdev net_af_xdp1,iface=o0,busy_budget=0 \
        -- --auto-start --forward-mode=io --nb-cores=1 --no-mlockall --total-num-mbufs=16384 \
        <"$0"' "$LAB_DIR/stdin"
    lab_wait 10 "testpmd forwards" one_passes testpmd-af-xdp
}

suanlu_up() {
    cat >"$LAB_DIR/edge.yaml" <<END
node: edge
address: fc00:e::1
run_dir: $LAB_DIR/edge
dataplane: {ports: [c0, o0], pins: 1M, cores: [1], busy_poll: true, huge_pages: false}
services:
  - {name: latency, ipv4: $LAB_IPV4, protocol: udp, port: 80}
sites:
  - {name: router, sid4: "fc00:a:0:4::1"}
END
    lab_node_start edge
    lab_wait 10 "the edge forwards" one_passes suanlu
}

# To the edge as a router, or past it as a wire.
to_mac() {
    case $1 in
    suanlu) lab_in edge cat /sys/class/net/c0/address ;;
    *) lab_in router cat /sys/class/net/e0/address ;;
    esac
}

# oneway CASE COUNT
oneway() {
    taskset -c 0 "$LAB_BUILD/scripts/bench/oneway" "$(lab_ns client)" e0 "$(lab_ns router)" e0 \
        "$(to_mac "$1")" "$2"
}

one_passes() {
    oneway "$1" 5 | grep -q '^[0-9]'
}

# measure CASE ROUND
measure() {
    case $1 in
    kernel-bridge) bridge_up ;;
    testpmd-af-xdp) testpmd_up ;;
    suanlu) suanlu_up ;;
    esac
    oneway "$1" 2000 >/dev/null # warm
    oneway "$1" "$COUNT" >"$LAB_DIR/delays"
    { grep -v lost "$LAB_DIR/delays" || true; } | sort -n >"$LAB_DIR/$1.$2"
    echo $((COUNT - $(wc -l <"$LAB_DIR/$1.$2"))) >"$LAB_DIR/$1.$2.lost"
    case $1 in
    kernel-bridge) ip -n "$(lab_ns edge)" link del br0 ;;
    testpmd-af-xdp)
        lab_stop testpmd
        for port in c0 o0; do # it leaves its program there
            ip -n "$(lab_ns edge)" link set dev "$port" xdp off
        done
        ;;
    suanlu)
        lab_stop control-edge
        lab_stop dataplane-edge
        ;;
    esac
}

# quantile FILE Q: in µs
quantile() {
    awk -v q="$2" '{ v[NR] = $1 } END { i = int(q * NR); printf "%.2f", v[i < 1 ? 1 : i] / 1000 }' "$1"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# over CASE Q: the median over the rounds
over() {
    local round
    for ((round = 1; round <= ROUNDS; round++)); do
        quantile "$LAB_DIR/$1.$round" "$2"
        echo
    done | median
}

test_lab
for ((round = 1; round <= ROUNDS; round++)); do
    for case in "${CASES[@]}"; do
        [ ! -t 2 ] || printf '\rround %d of %d: %-16s' "$round" "$ROUNDS" "$case" >&2
        measure "$case" "$round"
    done
done
[ ! -t 2 ] || printf '\r%-40s\r' "" >&2

printf '%-16s %9s %9s %9s %6s   %d rounds of %d requests\n' case 'p50 µs' 'p99 µs' 'p99.9 µs' lost \
    "$ROUNDS" "$COUNT"
for case in "${CASES[@]}"; do
    for ((round = 1; round <= ROUNDS; round++)); do cat "$LAB_DIR/$case.$round"; done | sort -n |
        awk '{ v[NR] = $1 } END { for (i = 1; i <= 1000; i++) { k = int(i * NR / 1000)
            print v[k < 1 ? 1 : k] / 1000, i / 1000 } }' >"$LAB_DIR/$case.cdf"
    lost=$(cat "$LAB_DIR/$case".*.lost | awk '{ n += $1 } END { print n }')
    printf '%-16s %9s %9s %9s %6d\n' "$case" "$(over "$case" 0.5)" "$(over "$case" 0.99)" \
        "$(over "$case" 0.999)" "$lost"
    jq -nc --arg case "$case" --argjson p50 "$(over "$case" 0.5)" \
        --argjson p99 "$(over "$case" 0.99)" --argjson p999 "$(over "$case" 0.999)" \
        --argjson lost "$lost" \
        '{case: $case, p50_us: $p50, p99_us: $p99, p999_us: $p999, lost: $lost}' \
        >>"$LAB_DIR/rows.jsonl"
done
ratio=$(jq -n "$(over suanlu 0.5) / $(over testpmd-af-xdp 0.5)")
gnuplot -e "dir='$LAB_DIR'; out='$OUT/latency.png'" "$LAB_TOP/scripts/bench/latency.gp"
echo "picture: $OUT/latency.png"
"$LAB_TOP/scripts/bench-fastpath.sh" --cases pinned-ipv4:1048576 --loads "$LOADS" --rounds "$ROUNDS" \
    --json "$LAB_DIR/loads.json"
check_equal "loads of a worker" "$(jq -c 'map(.load_percent)' "$LAB_DIR/loads.json")" "[$LOADS]"
[ -z "$JSON" ] || jq -s --slurpfile loads "$LAB_DIR/loads.json" '. + ($loads[0] | map({case: "worker-\(.load_percent)", p50_us: (.p50_ns / 1000),
    p99_us: (.p99_ns / 1000), p999_us: (.p999_ns / 1000), mean_us: (.mean_ns / 1000), lost_percent}))' \
    "$LAB_DIR/rows.jsonl" >"$JSON"
check_number "p50 against testpmd io over AF_XDP" "$ratio" "<=" 1.15 times
test_end
