#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# How good is the steering? Simulates every policy over every scenario of tests/data at telemetry
# intervals of 10 ms, 100 ms, 1 s and 10 s, two scenarios at a time, and says whether suanlu is
# where it must be. Every row is reported, the lost ones too.
#
#	scripts/bench-steering.sh [--json FILE] [--png FILE] [--quick] [--random N] [SCENARIO...]
#
# --random: N scenarios that scripts/bench/scenario.py makes of seeds 1 to N, and no others but those
# that are named.
# --quick simulates a third of the time, and suanlu lets reports wait until 10 ms after a solution,
# where the product solves at each. SUANLU names the program (default build/control/cli/suanlu),
# JOBS how many run at once (default 2). The same commit gives the same figures.
# Exit status 0: all simulated, whatever the figures; 1: something failed.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
suanlu=${SUANLU:-$top/build/control/cli/suanlu}
scenarios=(swing swing-high chinanet llm site-loss site-slow heavy-tail cold-start overload
    small-sites)
json='' png='' quick='' random=0

while [ $# -gt 0 ]; do
    case $1 in
    --json) json=${2:?--json FILE}; shift 2 ;;
    --png) png=${2:?--png FILE}; shift 2 ;;
    --quick) quick=1; shift ;;
    --random)
        random=${2:?--random N}
        [[ $random =~ ^[1-9][0-9]{0,3}$ ]] || { echo "bench-steering.sh: --random: 1 to 9999" >&2; exit 1; }
        [ -n "${named:-}" ] || scenarios=()
        named=1
        shift 2 ;;
    --help | -h) sed -n '4,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "bench-steering.sh: unknown option $1" >&2; exit 1 ;;
    *) [ -n "${named:-}" ] || scenarios=(); named=1; scenarios+=("$1"); shift ;;
    esac
done
[ -x "$suanlu" ] || { echo "bench-steering.sh: $suanlu is not there: build it first" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for seed in $(seq "$random"); do
    scenarios+=("random-$seed")
    "$top/scripts/bench/scenario.py" "$seed" >"$work/random-$seed.yaml"
done

run_one() {
    local file=$top/tests/data/$1.yaml duration=()
    [ ! -e "$work/$1.yaml" ] || file=$work/$1.yaml
    if [ -n "$quick" ]; then
        duration=(--solve-gap 10 --duration "$(awk '/^duration_s:/ {print $2 / 3}' "$file")")
    fi
    "$suanlu" simulate "$file" -i 10,100,1000,10000 "${duration[@]}" --json - >"$work/$1.json" ||
        touch "$work/failed"
    [ -t 2 ] && printf '\r%-60s\r%s done\n' '' "$1" >&2
    return 0
}
export -f run_one
export top suanlu work quick
printf '%s\n' "${scenarios[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'run_one {}'
[ ! -e "$work/failed" ] || exit 1

(cd "$work" && jq -s 'add' "${scenarios[@]/%/.json}") >"$work/all"

# 1. The table.
jq -r '(["SCENARIO", "POLICY", "INTERVAL", "MEAN", "P50", "P99", "P99.9", "CHURN", "AGAIN"],
    (.[] | [.scenario, .policy, .interval_ms,
        (.mean_ms, .p50_ms, .p99_ms, .p999_ms | . * 100 | round / 100),
        (.churn_per_s * 1000 | round / 1000), .again])) | @tsv' "$work/all" |
    awk -F '\t' '{printf "%-12s %-20s %9s %10s %10s %10s %10s %7s %7s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9}'

# 2. What must be reached.
cat >"$work/goals.jq" <<'EOF'
def row($s; $p; $i): .[] | select(.scenario == $s and .policy == $p and .interval_ms == $i);
def goal($what; $value; $limit):
    [(if $value <= $limit then "pass" else "MISS" end), ($value * 1000 | round / 1000), $limit, $what];
def short: map(select(.interval_ms <= 1000));
. as $all
| ([.[].scenario] | unique) as $scenarios
| ( ($all | short | [.[] | select(.scenario == "swing" and .policy == $ours)][]
     | . as $r | goal("swing, \($r.interval_ms) ms: mean / oracle";
        $r.mean_ms / ($all | row("swing"; "oracle"; $r.interval_ms) | .mean_ms); 1.05)),
    ($all | row("swing-high"; $ours; 100) | . as $r | ($all | row("swing-high"; "oracle"; 100)) as $o
     | goal("swing-high, 100 ms: mean / oracle"; $r.mean_ms / $o.mean_ms; 1.1),
       goal("swing-high, 100 ms: p99 / oracle"; $r.p99_ms / $o.p99_ms; 1.25)),
    ($all | short | [.[] | select(.policy == $ours)][] | . as $r
     | ([$all[] | select(.scenario == $r.scenario and .interval_ms == $r.interval_ms
            and .policy != "oracle" and .policy != $ours)]
        | min_by(.mean_ms)) as $best
     | goal("\($r.scenario), \($r.interval_ms) ms: mean / best other, \($best.policy)";
        $r.mean_ms / $best.mean_ms; 1.02)),
    ($scenarios[] as $s | $all | row($s; $ours; 10000) | . as $r
     | goal("\($s), 10 s: mean / static"; $r.mean_ms / ($all | row($s; "static"; 10000) | .mean_ms);
        1.05))
  ) | @tsv
EOF
printf '\n%-5s %8s %8s  %s\n' '' IS LIMIT WHAT
jq -r --arg ours suanlu -f "$work/goals.jq" "$work/all" >"$work/goals"
awk -F '\t' '{printf "%-5s %8.3f %8.2f  %s\n", $1, $2, $3, $4}
    {n++; pass += $1 == "pass"}
    END {printf "%d of %d reached\n", pass, n}' "$work/goals"
awk -F '\t' '/best other/ {print $2}' "$work/goals" | sort -n | awk '{is[NR] = $1}
    END {if (NR) printf "mean / best other: median %.3f, most %.3f\n", is[int((NR + 1) / 2)], is[NR]}'

# 3. The files.
[ -z "$json" ] || cp "$work/all" "$json"
if [ -n "$png" ]; then
    {
        echo "set terminal pngcairo size 1500,900; set output '$png'"
        echo "set multiplot layout $(((${#scenarios[@]} + 4) / 5)),5; set logscale xy; set xlabel 'telemetry interval, ms'"
        echo "set ylabel 'mean, ms'; set key off; set grid; set xrange [7:14000]"
        for s in "${scenarios[@]}"; do
            best=$(jq "[.[] | select(.scenario == \"$s\") | .mean_ms] | min" "$work/all")
            echo "set title '$s'; set yrange [$best * 0.9:$best * 10]"
            [ "$s" = "${scenarios[0]}" ] && echo "set key top left font ',7'" || echo "set key off"
            plots=()
            for p in $(jq -r '[.[].policy] | unique | .[]' "$work/all"); do
                jq -r ".[] | select(.scenario == \"$s\" and .policy == \"$p\")
                    | \"\(.interval_ms) \(.mean_ms)\"" "$work/all" >"$work/$s-$p"
                [ "$p" = suanlu ] && width=4 || width=1
                plots+=("'$work/$s-$p' with linespoints lw $width title '$p'")
            done
            (IFS=,; echo "plot ${plots[*]}")
        done
    } | gnuplot
fi
