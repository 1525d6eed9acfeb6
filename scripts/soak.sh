#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# soak.sh [--minutes N] [--png FILE]: N minutes (default 10) on the sanitizer build of connections,
# requests and datagrams, under route updates, kernel routes that come and go, configurations, drains,
# and floods of malformed packets, new flows and reports that are none. Memory of each process is
# sampled each second. Ends 0 if no sanitizer said a word, also about leaks at the end, no long-lived
# connection broke, and memory is flat: in the second half it grows by less than 2 %.
#
# AddressSanitizer keeps what was freed for a while; 8 MB of that, so that it is full soon.

. "$(dirname "$0")/lab/lab.sh"
LAB_BUILD=${LAB_BUILD_SOAK:-$LAB_TOP/build-sanitize}
. "$(dirname "$0")/lab/checks.sh"

MINUTES=10
PNG=
PROCESSES=(dataplane-edge control-edge dataplane-gate control-gate agent-a)
HELD=60
FLAT_PERCENT=2
REST_S=4 # between two rounds of the floods

while [ $# -gt 0 ]; do
    case $1 in
    --minutes) MINUTES=${2:?N}; shift ;;
    --png) PNG=${2:?FILE}; shift ;;
    *) echo "usage: soak.sh [--minutes N] [--png FILE]" >&2; exit 2 ;;
    esac
    shift
done

[ "$MINUTES" -gt 0 ] || lab_fail "--minutes: expected a whole number of at least 1"
export LSAN_OPTIONS=suppressions=$LAB_TOP/tests/net/lsan.supp:print_suppressions=0
export ASAN_OPTIONS=quarantine_size_mb=8:detect_stack_use_after_return=1:fast_unwind_on_malloc=0
export UBSAN_OPTIONS=print_stacktrace=1

# shellcheck disable=SC2034 # lab.sh's
LAB_ANNOUNCE='{}'
LAB_MORE_SERVICES="  - name: datagrams
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: udp
    port: 82"

# --- what goes on -----------------------------------------------------------------------------

datagrams() {
    local site
    for site in "${LAB_SITES[@]}"; do
        lab_start "datagrams-$site" "$site" "$LAB_TOP/scripts/lab/datagrams.py" serve "$site" 82 \
            "$LAB_IPV4" "$LAB_IPV6"
        lab_wait 5 "datagrams at $site" lab_ready "datagrams-$site"
    done
    lab_start datagrams client "$LAB_TOP/scripts/lab/datagrams.py" send "$LAB_DIR/datagrams.log" 82 \
        50 32 "$LAB_IPV4" "$LAB_IPV6"
}

# in_rounds NAME COMMAND...: over and over, until the end
in_rounds() {
    local name=$1
    shift
    (
        trap - EXIT
        while [ -e "$LAB_DIR/soaking" ]; do
            "$@" >"$LAB_DIR/$name.round" 2>&1 || cat "$LAB_DIR/$name.round" >>"$LAB_DIR/$name.failed"
            sleep "$REST_S"
        done
    ) &
    ROUNDS+=($!)
}

route_updates() {
    "$LAB_TOOLS/route_flood" "$LAB_DIR/edge/dataplane.sock" 500 5 fc00:a:0:4:: fc00:b:0:4:: \
        fc00:c:0:46::1
}

kernel_routes() {
    ip -n "$(lab_ns edge)" -batch "$LAB_DIR/kernel-routes"
}

malformed() {
    local from=client interface=e0 port=c0
    [ "$1" = edge ] || { from=delay interface=sc port=o0; }
    lab_in "$from" /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" send "$1" "$LAB_DIR/$1.pcap" \
        "$interface" "$(lab_in "$1" cat "/sys/class/net/$port/address")" 2000
}

# Flows that nobody has, so that pins come and go
new_flows() {
    lab_in client /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" flows "$LAB_IPV4" 80 e0 \
        "$(lab_in edge cat /sys/class/net/c0/address)" 20000 2000
}

noise() {
    lab_in edge "$LAB_TOOLS/flood" fc00:e::1 7801 2000 5 --vary <"$LAB_DIR/noise"
}

configurations() {
    local config=$LAB_DIR/edge.yaml
    cp "$config" "$LAB_DIR/edge.before"
    sed -i "s/^sites:/  - name: extra\n    ipv4: $LAB_IPV4\n    protocol: tcp\n    port: 8080\n&/
        s/delay_ms: 8/delay_ms: 9/" "$config"
    lab_cli edge reload
    cp "$LAB_DIR/edge.before" "$config"
    lab_cli edge reload
}

questions() {
    local what
    lab_cli edge drain b
    for what in services sites routes paths counters reports neighbours status; do
        lab_cli edge show "$what"
    done
    lab_cli edge trace tcp 10.1.0.2:4000 "$LAB_IPV4":80
    lab_in edge curl -sf http://127.0.0.1:9801/metrics
    lab_cli edge undrain b
}

# --- memory -----------------------------------------------------------------------------------

sample() {
    local name line=$1
    for name in "${PROCESSES[@]}"; do
        line+=$'\t'$(lab_memory_kb "$name" Rss:)
    done
    echo "$line" >>"$LAB_DIR/memory.tsv"
}

# memory COLUMN: KiB in the middle and at the end (means of a tenth of the time), and KiB a minute
# by least squares over the second half
memory() {
    awk -v column="$1" '
        { t[NR] = $1; m[NR] = $column }
        END {
            half = int(NR / 2); tenth = int(NR / 10) + 1
            for (i = 0; i < tenth; i++) { middle += m[half + i]; last += m[NR - i] }
            for (i = half; i <= NR; i++) {
                n++; x += t[i]; y += m[i]; xx += t[i] * t[i]; xy += t[i] * m[i]
            }
            printf "%d %d %.1f\n", middle / tenth, last / tenth,
                60 * (n * xy - x * y) / (n * xx - x * x)
        }' "$LAB_DIR/memory.tsv"
}

# --- the run ----------------------------------------------------------------------------------

[ -x "$LAB_BUILD/dataplane/suanlu-dataplane" ] ||
    lab_fail "no sanitizer build in $LAB_BUILD: meson setup -Dbuildtype=debug" \
        "-Db_sanitize=address,undefined build-sanitize && ninja -C build-sanitize"
test_lab
for role in edge gate; do
    /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" make "$role" "$LAB_DIR/$role.pcap" 2>/dev/null
done
for ((n = 0; n < 1000; n++)); do
    echo "route add fd77:0:0:$n::/64 via fd00:e::2"
    echo "route del fd77:0:0:$n::/64 via fd00:e::2"
done >"$LAB_DIR/kernel-routes"
head -c 25600 /dev/urandom | xxd -p -c 400 >"$LAB_DIR/noise"
LAB_MEAN_MS=2 lab_engine_up 16 16 16
datagrams
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections "$HELD" --interval 200 --timeout 10000 --seconds 100000
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 40 \
    --seconds 100000 --timeout 10000
sleep 1
: >"$LAB_DIR/soaking"
ROUNDS=()
in_rounds route-updates route_updates
in_rounds kernel-routes kernel_routes
in_rounds malformed-edge malformed edge
in_rounds malformed-gate malformed gate
in_rounds new-flows new_flows
in_rounds noise noise
in_rounds configurations configurations
in_rounds questions questions

began=$SECONDS
while [ $((SECONDS - began)) -lt $((MINUTES * 60)) ]; do
    sample $((SECONDS - began))
    for name in "${PROCESSES[@]}"; do
        lab_alive "$name" || lab_fail "$name ended after $((SECONDS - began)) s"
    done
    [ ! -t 2 ] || printf '\r%d of %d s, dataplane %d MiB ' $((SECONDS - began)) $((MINUTES * 60)) \
        $(($(lab_memory_kb dataplane-edge Rss:) / 1024)) >&2
    sleep 1
done
rm "$LAB_DIR/soaking"
wait "${ROUNDS[@]}" || true
for name in load hold datagrams; do
    lab_stop "$name" INT
done

for node in edge gate; do
    echo "verdicts of $node: $(lab_cli "$node" show counters --json |
        jq -c '.verdicts | with_entries(select(.value > 0))')"
done
echo "requests: $(tail -n 1 "$LAB_DIR/load.out" | jq -c '{done, failed}'), datagrams:" \
    "$(tail -n 1 "$LAB_DIR/datagrams.out")"
printf '%-16s %10s %10s %12s\n' memory "middle KiB" "end KiB" "KiB a minute"
column=2
for name in "${PROCESSES[@]}"; do
    read -r middle last slope < <(memory "$column")
    printf '%-16s %10d %10d %12s\n' "$name" "$middle" "$last" "$slope"
    check_number "$name: memory at the end, of the middle's" \
        "$(jq -n "($last / $middle - 1) * 100")" "<" "$FLAT_PERCENT" %
    column=$((column + 1))
done
if [ -n "$PNG" ]; then
    gnuplot -e "tsv='$LAB_DIR/memory.tsv'; names='${PROCESSES[*]}'; out='$PNG'" \
        "$LAB_TOP/scripts/bench/soak.gp"
fi
check_equal "long-lived connections: opened, broken" \
    "$(tail -n 1 "$LAB_DIR/hold.out" | jq -c '[.opened, .broken]')" "[$HELD,0]"
check_equal "rounds that failed" "$(cat "$LAB_DIR"/*.failed 2>/dev/null | head -n 3)" ""
for name in "${PROCESSES[@]}"; do # by SIGTERM, so that leaks are told
    lab_stop "$name"
done
test_end
