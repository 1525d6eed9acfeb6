#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-fastpath.sh [--json FILE] [--png FILE] [--rounds N] [--seconds S] [--cases A,B]: what a
# packet costs in the worker of suanlu-dataplane, rx burst to tx burst, and in programs that DPDK
# brings: testpmd io and l3fwd by LPM and by exact match. All run between two net_null ports whose
# packets one and the same rx callback fills (scripts/bench/source.c), one after the other, N rounds
# over, on the same core. Prints a table of medians and minima, and the ratios that are promised;
# writes them as JSON, and as a picture. A case is named by its first word, or "pinned-ipv4:1048576"
# with its flows; "lost" are packets that were not forwarded.
#
# With --loads 50,80,95 packets come by chance (Poisson) at so many percent of what the case can
# take, to a queue of 1,024; the table is then of their delays, from a packet's coming to its sending.
#
# It needs root (hugepages), two cores, and the packages dpdk-dev and dpdk-doc.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${LAB_BUILD:-$TOP/build}
EXAMPLE=/usr/share/dpdk/examples/l3fwd
HUGE_PAGES=420
JSON= PNG= ROUNDS=5 SECONDS_EACH=0.4 ONLY= LOADS=

fail() {
    echo "bench-fastpath.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || fail "usage: [--json FILE] [--png FILE] [--rounds N] [--seconds S] [--cases A,B] [--loads P,Q]"
    case $1 in
    --json) JSON=$2 ;;
    --png) PNG=$2 ;;
    --rounds) ROUNDS=$2 ;;
    --seconds) SECONDS_EACH=$2 ;;
    --cases) ONLY=$2 ;;
    --loads) LOADS=$2 ;;
    *) fail "unknown option $1" ;;
    esac
    shift 2
done

# name, program, packets, flows, pins, workers
CASES="testpmd-io        testpmd ipv4-tcp  1        0        1
l3fwd-lpm         lpm     l3fwd     1        0        1
l3fwd-em          em      l3fwd     1        0        1
pinned-ipv4       ours    ipv4-tcp  1        1048576  1
pinned-ipv4       ours    ipv4-tcp  65536    1048576  1
pinned-ipv4       ours    ipv4-tcp  1048576  1048576  1
pinned-ipv4       ours    ipv4-tcp  10485760 10485760 1
pinned-ipv6       ours    ipv6-tcp  1048576  1048576  1
new-flow-ipv4     ours    ipv4-tcp  0        1048576  1
datagram          ours    ipv4-udp  1048576  1048576  1
decap-ipv4        ours    srv6-ipv4 1048576  1048576  1
vxlan-ipv4        ours    ipv4-tcp  1048576  1048576  1
two-workers       ours    ipv4-tcp  1048576  1048576  2
testpmd-io-two    testpmd ipv4-tcp  1        0        2
swap              ours    ipv4-tcp  1048576  1048576  1"
if [ -n "$ONLY" ]; then
    CASES=$(awk -v only=",$ONLY," 'index(only, "," $1 ",") || index(only, "," $1 ":" $4 ",")' <<<"$CASES")
    [ -n "$CASES" ] || fail "no such case: $ONLY"
fi

if [ -n "$LOADS" ]; then
    [[ $LOADS =~ ^[1-9][0-9]?(,[1-9][0-9]?)*$ ]] || fail "--loads: percents from 1 to 99, not $LOADS"
    export SOURCE_LOADS=$LOADS
fi

WORK=$(mktemp -d)
OLD_HUGE_PAGES=$(sysctl -n vm.nr_hugepages)
CHILD=

restore() {
    trap - EXIT INT TERM
    [ -z "$CHILD" ] || kill "$CHILD" 2>/dev/null || true
    wait 2>/dev/null || true
    sysctl -qw vm.nr_hugepages="$OLD_HUGE_PAGES" || true
    rm -rf "$WORK"
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare() {
    [ "$(id -u)" = 0 ] || fail "reserves hugepages: run it as root (sudo $0)"
    [ "$(nproc)" -ge 2 ] || fail "needs two cores"
    "$TOP/scripts/install.sh" --bench
    [ -e $EXAMPLE/main.c ] || fail "$EXAMPLE is missing although dpdk-doc is installed"
    echo "building" >&2
    [ -e "$BUILD/build.ninja" ] || meson setup "$BUILD" "$TOP" >"$WORK/log" 2>&1 ||
        fail "meson: $(tail -n 5 "$WORK/log")"
    ninja -C "$BUILD" scripts/bench/fastpath >"$WORK/log" 2>&1 ||
        fail "ninja: $(tail -n 20 "$WORK/log")"
    build_l3fwd
    sysctl -qw vm.nr_hugepages=$((OLD_HUGE_PAGES > HUGE_PAGES ? OLD_HUGE_PAGES : HUGE_PAGES))
    [ "$(sysctl -n vm.nr_hugepages)" -ge $HUGE_PAGES ] || fail "no memory for $HUGE_PAGES hugepages"
}

# As Debian brings it; only the checksum offload is not asked for, which net_null has not.
build_l3fwd() {
    local sources=() source
    cp -r $EXAMPLE "$WORK/l3fwd"
    sed -i 's/\.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM/.offloads = 0/' "$WORK/l3fwd/main.c"
    for source in "$WORK"/l3fwd/*.c; do
        [[ $source == *_route_parse.c ]] || sources+=("$source")
    done
    # shellcheck disable=SC2046
    gcc -O3 -w -DALLOW_EXPERIMENTAL_API -I"$(dirname $EXAMPLE)/common" $(pkg-config --cflags libdpdk) \
        "${sources[@]}" -o "$WORK/l3fwd/l3fwd" $(pkg-config --libs libdpdk) >"$WORK/log" 2>&1 ||
        fail "l3fwd: $(tail -n 5 "$WORK/log")"
}

# run PROGRAM PACKETS FLOWS PINS WORKERS NAME: ns per packet, a line for each of the timings
run() {
    local source=$BUILD/scripts/bench/libsource.so lcores="0@0,1@1"
    local -a eal=(--in-memory -m 256 --no-pci --no-telemetry --vdev net_null0 --vdev net_null1)
    export SOURCE_PACKET=$2 SOURCE_FLOWS=$3 SOURCE_WARM=$3 SOURCE_ROUNDS=2
    export SOURCE_SECONDS=$SECONDS_EACH SOURCE_FD=9
    export SOURCE_WORKERS=$5
    [ "$5" = 1 ] || lcores="0@(0,1),1@0,2@1"
    case $1 in
    testpmd) LD_PRELOAD=$source dpdk-testpmd "${eal[@]}" --lcores "$lcores" -- --forward-mode=io --nb-cores="$5" \
        --auto-start --no-mlockall --burst=32 < <(sleep 60) ;;
    lpm | em) LD_PRELOAD=$source "$WORK/l3fwd/l3fwd" "${eal[@]}" -l 1 -- -p 3 -P --lookup="$1" \
        --config="(0,0,1),(1,0,1)" --parse-ptype ;;
    ours) "$BUILD/scripts/bench/fastpath" "${eal[@]}" --lcores "$lcores" -- "$6" "$4" "$5" ;;
    esac 9>"$WORK/timings" >"$WORK/log" 2>&1 </dev/null &
    CHILD=$!
    (sleep 120 && kill $CHILD) 2>/dev/null &
    local guard=$!
    wait $CHILD || true
    CHILD=
    kill $guard 2>/dev/null || true
    wait $guard 2>/dev/null || true
    [ -s "$WORK/timings" ] || fail "$6 ($1): $(tail -n 5 "$WORK/log")"
}

# median and minimum of the numbers on standard input
summary() {
    sort -g | awk '{v[NR] = $1} END {printf "%.2f %.2f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[1]}'
}

measure() {
    local round line name program packets flows pins workers n=0 total
    total=$(($(wc -l <<<"$CASES") * ROUNDS))
    for round in $(seq "$ROUNDS"); do
        while read -r name program packets flows pins workers; do
            n=$((n + 1))
            printf '\r%-70s' "[$n/$total] round $round: $name, $flows flows" >&2
            run "$program" "$packets" "$flows" "$pins" "$workers" "$name"
            grep '^[0-9]' "$WORK/timings" >>"$WORK/$name.$flows"
            { grep '^lost' "$WORK/timings" || echo "lost -"; } | cut -d' ' -f2 >>"$WORK/$name.$flows.lost"
        done <<<"$CASES"
    done
    printf '\r%-70s\r' "" >&2
}

# of CASE FLOWS: its median
of() {
    [ -s "$WORK/$1.$2" ] && summary <"$WORK/$1.$2" | cut -d' ' -f1
}

# ratio WHAT most|least LIMIT CASE FLOWS OTHER FLOWS: of median ns, if both were measured
ratio() {
    local a b
    a=$(of "$4" "$5") && b=$(of "$6" "$7") || return 0
    awk -v what="$1" -v at="$2" -v limit="$3" -v r="$(awk "BEGIN {print $a / $b}")" 'BEGIN {
        printf "%-48s %5.2f  (at %s %s)%s\n", what, r, at, limit,
            (at == "most" ? r <= limit : r >= limit) ? "" : "  MISSED" }'
}

report() {
    local name program packets flows rest median minimum lost
    printf '%-18s %10s %10s %10s %8s %8s\n' case flows "ns median" "ns min" Mpps lost
    while read -r name program packets flows rest; do
        read -r median minimum < <(summary <"$WORK/$name.$flows"; echo)
        lost=$(awk '$1 == "-" { none = 1 } { n += $1 } END { print none ? "-" : n }' "$WORK/$name.$flows.lost")
        printf '%-18s %10s %10s %10s %8s %8s\n' "$name" "$flows" "$median" "$minimum" \
            "$(awk "BEGIN {printf \"%.1f\", 1000 / $median}")" "$lost"
        jq -n --arg case "$name" --argjson flows "$flows" --argjson ns "$median" \
            --argjson min "$minimum" --arg lost "$lost" '{case: $case, flows: $flows,
            ns_per_packet: $ns, ns_per_packet_min: $min, mpps: (1000 / $ns)}
            + if $lost == "-" then {} else {lost: ($lost | tonumber)} end' >>"$WORK/json"
        echo "\"$name $flows\" $median $minimum" >>"$WORK/data"
    done <<<"$CASES"
    echo
    ratio "pinned-ipv4, 1 Mi flows / l3fwd-em" most 1.7 pinned-ipv4 1048576 l3fwd-em 1
    ratio "pinned-ipv4, 10 Mi flows / l3fwd-em" most 2.0 pinned-ipv4 10485760 l3fwd-em 1
    ratio "pinned-ipv6 / pinned-ipv4, 1 Mi flows" most 1.2 pinned-ipv6 1048576 pinned-ipv4 1048576
    ratio "new-flow-ipv4 / pinned-ipv4, 1 Mi flows" most 1.3 new-flow-ipv4 0 pinned-ipv4 1048576
    ratio "swap / pinned-ipv4, 1 Mi flows" most 1.05 swap 1048576 pinned-ipv4 1048576
    ratio "Mpps of two workers / of one" least 1.9 pinned-ipv4 1048576 two-workers 1048576
    ratio "what this machine gives: testpmd io likewise" least 0 testpmd-io 1 testpmd-io-two 1
    [ -z "$JSON" ] || jq -s . "$WORK/json" >"$JSON"
    if [ -n "$PNG" ] && command -v gnuplot >/dev/null; then
        gnuplot -e "data='$WORK/data'; out='$PNG'" "$TOP/scripts/bench/fastpath.gp"
        echo "picture: $PNG"
    fi
}

# Of each load the medians over the rounds.
report_loads() {
    local name program packets flows rest load row
    printf '%-18s %10s %6s %8s %10s %10s %10s %10s %8s\n' \
        case flows load Mpps "mean ns" "p50 ns" "p99 ns" "p99.9 ns" "lost %"
    while read -r name program packets flows rest; do
        for load in ${LOADS//,/ }; do
            row=$(for column in 2 3 4 5 6 7; do
                awk -v l="$load" -v c=$column '$1 == l { print $c }' "$WORK/$name.$flows" | summary | cut -d' ' -f1
            done)
            # shellcheck disable=SC2086 # words are wanted
            printf '%-18s %10s %5s%% %8s %10.0f %10.0f %10.0f %10.0f %8s\n' "$name" "$flows" "$load" $row
            jq -s --arg case "$name" --argjson flows "$flows" --argjson load "$load" '{case: $case,
                flows: $flows, load_percent: $load, mpps: .[0], mean_ns: .[1], p50_ns: .[2],
                p99_ns: .[3], p999_ns: .[4], lost_percent: .[5]}' <<<"$row" >>"$WORK/json"
        done
    done <<<"$CASES"
    [ -z "$JSON" ] || jq -s . "$WORK/json" >"$JSON"
}

[ -n "$PNG" ] || [ -z "$JSON" ] || PNG=${JSON%.json}.png
prepare
measure
if [ -n "$LOADS" ]; then report_loads; else report; fi
