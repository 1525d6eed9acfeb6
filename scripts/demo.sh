#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# demo.sh: installs, builds and shows suanlu at work. Real HTTP clients reach real servers at three
# sites (2, 8 and 20 ms away) through the engine, in network namespaces of this machine; see
# scripts/lab/lab.sh for the picture. What happens:
#
#   steady   100 requests/s
#   surge    90 requests/s more hit the nearest site from elsewhere
#   calm     they end
#   dead     servers and agent of the nearest site are killed
#   back     they start again
#   cut      the path to the nearest site is cut
#   nearest  the engine steers to the nearest site only, for contrast
#   surge'   the same surge under that steering
#
# A table row per second, then the figures, each with its bound.
set -euo pipefail

usage() {
    cat <<END
usage: sudo scripts/demo.sh [--keep] [--out DIR]
  --keep     leave the lab running afterwards (scripts/lab/lab.sh removes it)
  --out DIR  where demo.png, figures.json and the raw series go (default ./out)
END
}

KEEP=
OUT=out
while [ $# -gt 0 ]; do
    case $1 in
    --keep) KEEP=1 ;;
    --out)
        [ $# -ge 2 ] || { usage >&2; exit 1; }
        OUT=$2
        shift
        ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 1 ;;
    esac
    shift
done

. "$(dirname "$0")/lab/checks.sh"

RATE=100      # requests per second of our clients
SURGE_RATE=90 # from elsewhere, at site a: 68 % of what it can do
SERVERS=(4 6 8)
HELD=20 # long-lived connections per site
export LAB_MEAN_MS=30
LAB_PROBES='{interval_ms: 20, dead_ms: 200}' # delays are measured, by STAMP
VALID_S=0.5 # validity of a report: the agents' default

lab_need_root scripts/demo.sh
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)

# --- preparation ------------------------------------------------------------------------------

demo_build() {
    echo "build: release, in $LAB_BUILD"
    if [ ! -e "$LAB_BUILD/build.ninja" ]; then
        meson setup "$LAB_BUILD" "$LAB_TOP" --buildtype=release >"$OUT/build.log" 2>&1 ||
            { tail -n 20 "$OUT/build.log" >&2; lab_fail "meson failed, see $OUT/build.log"; }
    fi
    if [ -t 1 ]; then
        ninja -C "$LAB_BUILD"
    else
        ninja -C "$LAB_BUILD" >"$OUT/build.log" 2>&1 ||
            { grep -A8 FAILED "$OUT/build.log" >&2; lab_fail "the build failed"; }
    fi
}

demo_over() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "${SAMPLER:-}" ] || kill "$SAMPLER" 2>/dev/null || true
    if [ "$status" != 0 ] && [ -d "$LAB_DIR" ]; then
        lab_logs >&2
    fi
    if [ -n "$KEEP" ] && [ -d "$LAB_DIR" ]; then
        cat <<END
The lab goes on running. Look around:
  scripts/lab/lab.sh exec $LAB client curl -s http://$LAB_IPV4/work
  $LAB_BUILD/control/cli/suanlu --run-dir $LAB_DIR/edge show sites
Remove it:
  sudo scripts/lab/lab.sh down $LAB
END
    else
        lab_down
    fi
    if [ "$status" = 0 ]; then
        echo "demo: passed"
    else
        echo "demo: failed${FAILED_NAMES:+: $FAILED_NAMES}"
        status=1
    fi
    exit "$status"
}

# --- what is recorded -------------------------------------------------------------------------

now_s() {
    date +%s.%N | cut -c1-14
}

# Every 0.2 s: time, then for each site state, in flight, queued, weight and new flows/s of infer
sampler() {
    local sites
    while sleep 0.2; do
        sites=$(lab_cli edge show sites --json 2>/dev/null) || continue
        jq -r --arg now "$(now_s)" '[$now] + [.sites | sort_by(.name)[] |
            .state, (.services[] | select(.name == "infer") |
                .in_flight, .queued, .weight, .new_flows_per_s)] | @tsv' <<<"$sites"
    done >"$OUT/samples.tsv"
}

# row PHASE: the live table, a row of the last sample and the clients' last second
row() {
    local sample client
    sample=$(tail -n 1 "$OUT/samples.tsv")
    client=$(tail -n 1 "$LAB_DIR/load.out" | jq -r '[.done, .p50_ms, .p99_ms, .failed] | @tsv')
    printf '%s\t%s\t%s\n' "$1" "$sample" "$client" | awk -F'\t' '{
        printf "%-8s", $1
        for (i = 0; i < 3; i++) {
            at = 3 + 5 * i
            if ($at == "fresh")
                printf " | %3d +%-4d %3.0f%% %4.0f/s", $(at + 1), $(at + 2), 100 * $(at + 3), $(at + 4)
            else
                printf " | %9s %3.0f%% %4.0f/s", $at, 100 * $(at + 3), $(at + 4)
        }
        printf " | %4d/s %6.0f %6.0f %5d\n", $18, $19, $20, $21
    }'
}

header() {
    printf '%-8s | %-21s | %-21s | %-21s | %6s %6s %6s %5s\n' phase \
        "site a  2 ms  weight" "site b  8 ms  weight" "site c  20 ms weight" clients p50 p99 failed
}

# phase NAME SECONDS: marks its start and shows its rows
phase() {
    local start
    start=$(now_s)
    printf '%s\t%s\n' "$1" "$start" >>"$OUT/phases.tsv"
    for _ in $(seq "$2"); do
        sleep 1 # a row per second
        row "$1"
    done
}

load_start() {
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate "$RATE" --seconds 600 --seed "$1" --log "$OUT/requests-$2.tsv"
    lab_wait 5 "requests are answered" test -s "$LAB_DIR/load.out"
}

load_stop() {
    lab_stop_slowly load
    cp "$LAB_DIR/load.out" "$OUT/seconds-$1.jsonl"
    rm "$LAB_DIR/load.out"
}

# The client still waits for what is in flight, for 5 s at most.
lab_stop_slowly() {
    kill -TERM "$(lab_pid "$1")"
    lab_wait 8 "$1 ends" lab_dead "$1"
}

surge_start() {
    rm -f "$LAB_DIR/surge.out"
    lab_start surge other "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate "$SURGE_RATE" --seconds 600 --seed 7
}

# Opens the long-lived connections of one site while all others are drained.
hold_start() {
    lab_steer_to "$1"
    lab_start "hold-$1" client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections "$HELD" --seconds 600 --interval 500
    lab_wait 10 "$HELD connections at $1" lab_established "$1" "$HELD"
}

# --- figures ----------------------------------------------------------------------------------

phase_at() {
    awk -F'\t' -v name="$1" '$1 == name { print $2; exit }' "$OUT/phases.tsv"
}

plus() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", a + b }'
}

# latency FILE FROM TO QUANTILE: ms, of the requests due in that time; a failed one counts 5 s
latency() {
    awk -F'\t' -v from="$2" -v to="$3" '$1 >= from * 1e6 && $1 < to * 1e6 {
        print $4 == "-" ? $2 : 5000000 }' "$OUT/$1" | sort -n |
        awk -v q="$4" '{ v[NR] = $1 } END {
            rank = int(q * NR); if (rank < q * NR) rank++
            printf "%.1f\n", NR ? v[rank ? rank : 1] / 1000 : 0 }'
}

# failures FILE FROM TO: how many of the requests due in that time failed
failures() {
    awk -F'\t' -v from="$2" -v to="$3" \
        '$1 >= from * 1e6 && $1 < to * 1e6 && $4 != "-" { n++ } END { print n + 0 }' "$OUT/$1"
}

# share FILE SITE FROM TO: of the requests due in that time, in percent
share() {
    awk -F'\t' -v site="$2" -v from="$3" -v to="$4" '$1 >= from * 1e6 && $1 < to * 1e6 {
        n++; if ($3 == site) at++ } END { printf "%.1f\n", n ? 100 * at / n : 0 }' "$OUT/$1"
}

# without_weight FROM: seconds from FROM until site a has no weight
without_weight() {
    awk -F'\t' -v from="$1" '$1 >= from && $5 == 0 {
        printf "%.2f\n", $1 - from; found = 1; exit } END { if (!found) print 999 }' \
        "$OUT/samples.tsv"
}

ENGINE=(dataplane-edge control-edge dataplane-gate control-gate agent-b agent-c)

# Memory and mean CPU of each engine process since $1 (Unix time); prints and keeps as JSON
processes() {
    local name cpu_ms rows=()
    printf '\n%-16s %10s %10s %10s\n' process "RSS MiB" "PSS MiB" "CPU %"
    for name in "${ENGINE[@]}"; do
        cpu_ms=$(($(lab_cpu_ms "$name") - ${CPU_BEFORE[$name]}))
        rows+=("$(jq -nc --arg name "$name" --argjson rss "$(lab_memory_kb "$name" Rss:)" \
            --argjson pss "$(lab_memory_kb "$name" Pss:)" --argjson cpu "$cpu_ms" \
            --argjson s "$(plus "$(now_s)" "-$1")" \
            '{$name, rss_mib: ($rss / 102.4 | round / 10), pss_mib: ($pss / 102.4 | round / 10),
              cpu_percent: ($cpu / $s | round / 10)}')")
        jq -r '[.name, .rss_mib, .pss_mib, .cpu_percent] | @tsv' <<<"${rows[-1]}" |
            awk -F'\t' '{ printf "%-16s %10.1f %10.1f %10.1f\n", $1, $2, $3, $4 }'
    done
    PROCESSES=$(jq -sc . <<<"${rows[*]}")
}

# --- the run ----------------------------------------------------------------------------------

"$(dirname "$0")/install.sh"
STARTED=$SECONDS
demo_build
rm -f "$OUT"/*.tsv "$OUT"/*.jsonl "$OUT"/figures.json "$OUT"/demo.png

trap demo_over EXIT
trap 'exit 130' INT TERM
echo "lab: namespaces $(lab_ns '*'), three sites with ${SERVERS[*]} servers of $LAB_MEAN_MS ms"
lab_up
lab_engine_up "${SERVERS[@]}"

echo "idle: two dataplanes without traffic, 3 s"
idle_before=$(($(lab_cpu_ms dataplane-edge) + $(lab_cpu_ms dataplane-gate)))
sleep 3 # the measurement itself
IDLE_CPU=$(jq -n "($(lab_cpu_ms dataplane-edge) + $(lab_cpu_ms dataplane-gate) - $idle_before) / 60")

for site in "${LAB_SITES[@]}"; do
    hold_start "$site"
done
for site in "${LAB_SITES[@]}"; do
    lab_cli edge undrain "$site" >/dev/null
done
declare -A CPU_BEFORE
for name in "${ENGINE[@]}"; do
    CPU_BEFORE[$name]=$(lab_cpu_ms "$name")
done
CPU_START=$(now_s)
sampler &
SAMPLER=$!
load_start 1 suanlu
header
MEASURED_OFF=$(lab_cli edge show sites --json | jq "[[.sites | sort_by(.name)[].delay_ms],
    [$(IFS=,; echo "${LAB_DELAYS_MS[*]}")]] | transpose | map(.[0] - .[1] | fabs) | max")
phase steady 12
surge_start
phase surge 15
lab_stop surge KILL
phase calm 8
lab_stop server-a KILL
lab_stop agent-a KILL
phase dead 10
lab_server_start a "${SERVERS[0]}" "$LAB_MEAN_MS" --seed 9
lab_agent_start a
phase back 10
CUT=$(now_s)
lab_delayline "cut ra"
phase cut 6
lab_cli edge show paths
lab_delayline "join ra"
printf 'end\t%s\n' "$(now_s)" >>"$OUT/phases.tsv"
load_stop suanlu
processes "$CPU_START"
for site in "${LAB_SITES[@]}"; do
    lab_stop "hold-$site" INT
done

echo
echo "the same under steering: nearest"
lab_stop control-edge
lab_config_edge nearest
lab_control_start edge
lab_wait 10 "routes of the nearest site" lab_only a
load_start 1 nearest
header
phase nearest 6
surge_start
phase "surge'" 15
lab_stop surge KILL
printf 'over\t%s\n' "$(now_s)" >>"$OUT/phases.tsv"
load_stop nearest
kill "$SAMPLER"
wait "$SAMPLER" 2>/dev/null || true
SAMPLER=

# --- what it comes to -------------------------------------------------------------------------

steady=$(phase_at steady) surge=$(phase_at surge) calm=$(phase_at calm) dead=$(phase_at dead)
back=$(phase_at back) cut=$(phase_at cut) end=$(phase_at end) surge2=$(phase_at "surge'") over=$(phase_at over)
nearest=$(phase_at nearest)
p99_suanlu=$(latency requests-suanlu.tsv "$surge" "$calm" 0.99)
p99_nearest=$(latency requests-nearest.tsv "$surge2" "$over" 0.99)
share_before=$(share requests-suanlu.tsv a "$(plus "$surge" -8)" "$surge")
share_after=$(share requests-suanlu.tsv a "$(plus "$surge" 1)" "$(plus "$surge" 2.5)")
avoided=$(without_weight "$dead")
dead_bound=$(plus "$VALID_S" 1)
broken=$(jq -sc 'map(.broken_at | to_entries) | add // [] | map(select(.key != "a").value) |
    add // 0' "$LAB_DIR"/hold-*.out)
held=$(jq -sc 'map(.opened) | add' "$LAB_DIR"/hold-*.out)

printf '\n%-10s %9s %9s %9s %9s %9s\n' phase "p50 ms" "p99 ms" "at a %" "at b %" "at c %"
summary() {
    printf '%-10s %9s %9s %9s %9s %9s\n' "$1" "$(latency "$2" "$3" "$4" 0.5)" \
        "$(latency "$2" "$3" "$4" 0.99)" "$(share "$2" a "$3" "$4")" \
        "$(share "$2" b "$3" "$4")" "$(share "$2" c "$3" "$4")"
}
{
    summary steady requests-suanlu.tsv "$steady" "$surge"
    summary surge requests-suanlu.tsv "$surge" "$calm"
    summary calm requests-suanlu.tsv "$calm" "$dead"
    summary dead requests-suanlu.tsv "$dead" "$back"
    summary back requests-suanlu.tsv "$back" "$cut"
    summary cut requests-suanlu.tsv "$cut" "$end"
    summary nearest requests-nearest.tsv "$nearest" "$surge2"
    summary "surge'" requests-nearest.tsv "$surge2" "$over"
} | tee "$OUT/summary.txt"
echo

TEST_NAME=demo
check_number "p99 over the surge, against a third of nearest's $p99_nearest ms" "$p99_suanlu" \
    "<=" "$(jq -n "$p99_nearest / 3 * 10 | round / 10")" ms
check_number "share of new requests at a 1 s into the surge, against 0.7 of $share_before %" \
    "$share_after" "<=" "$(jq -n "$share_before * 7 | round / 10")" %
check_number "dead site without weight" "$avoided" "<=" "$dead_bound" "s after the kill"
check_number "failed requests due later than that, and up to then outside of the kill" \
    "$(($(failures requests-suanlu.tsv "$(plus "$dead" "$dead_bound")" "$(plus "$cut" -0.5)") +
        $(failures requests-suanlu.tsv 0 "$(plus "$dead" -0.5)")))" "==" 0 requests
check_number "measured delays off the lines' $(IFS=,; echo "${LAB_DELAYS_MS[*]}") ms, the worst" "$MEASURED_OFF" "<=" 1 ms
check_number "requests that failed though they were due 0.1 s after the path was cut, or later" \
    "$(failures requests-suanlu.tsv "$(plus "$CUT" 0.1)" "$(plus "$end" 10)")" "==" 0 requests
check_number "long-lived connections" "$held" "==" $((3 * HELD)) opened
check_number "of those at other sites than a, broken" "$broken" "==" 0 connections
check_number "share at a in the last 4 s of back" \
    "$(share requests-suanlu.tsv a "$(plus "$cut" -4)" "$cut")" ">" 10 %
check_number "CPU of an idle dataplane" "$IDLE_CPU" "<" 2 "% of a core"
check_identity

jq -n --argjson processes "$PROCESSES" --argjson p99_surge_ms "$p99_suanlu" \
    --argjson p99_surge_nearest_ms "$p99_nearest" --argjson share_a_before "$share_before" \
    --argjson share_a_after "$share_after" --argjson dead_site_avoided_s "$avoided" \
    --argjson idle_cpu_percent "$IDLE_CPU" --argjson broken_elsewhere "$broken" \
    --rawfile summary "$OUT/summary.txt" \
    '$ARGS.named + {summary: ($summary | split("\n") | map(select(. != "") |
        [splits(" +")] | {phase: .[0], p50_ms: (.[1] | tonumber), p99_ms: (.[2] | tonumber),
            a_percent: (.[3] | tonumber), b_percent: (.[4] | tonumber),
            c_percent: (.[5] | tonumber)}))}' >"$OUT/figures.json"
for steering in suanlu nearest; do
    jq -r 'select(.unix_s) | [.unix_s, .p50_ms, .p99_ms] | @tsv' "$OUT/seconds-$steering.jsonl"
    echo # a gap in the picture's lines
done >"$OUT/seconds.tsv"
gnuplot -e "out='$OUT'; start=$steady" "$LAB_TOP/scripts/lab/demo.gp"
echo "picture: $OUT/demo.png   figures: $OUT/figures.json   after installation: $((SECONDS - STARTED)) s"
[ "$CHECKS_FAILED" = 0 ]
