#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# How long it takes to new weights: after one report about one service, and from nothing, for
# 10, 100 and 1,000 services of 16 candidates and 8 or 64 edges. The solver alone, one core.
#
#	scripts/bench-solver.sh [--json FILE]
#
# BENCH names the program (default build/control/solve/bench-solver).
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
bench=${BENCH:-$top/build/control/solve/bench-solver}
json=''

while [ $# -gt 0 ]; do
    case $1 in
    --json) json=${2:?--json FILE}; shift 2 ;;
    *) sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 1 ;;
    esac
done
[ -x "$bench" ] || { echo "bench-solver.sh: $bench is not there: build it first" >&2; exit 1; }

all=$(for edges in 8 64; do
    for services in 10 100 1000; do "$bench" "$services" 16 "$edges"; done
done | jq -s .)
jq -r '["SERVICES", "CANDIDATES", "EDGES", "NOTHING_MS", "REPORT_P50_US", "REPORT_P99_US"],
    (.[] | [.services, .candidates, .edges, .from_nothing_ms, .report_p50_us, .report_p99_us])
    | @tsv' <<<"$all" | column -t
jq -r '.[] | select(.services == 1000 and .edges == 64)
    | (if .report_p99_us <= 1000 then "pass" else "MISS" end)
        + "  one report, 1,000 x 16 x 64: p99 \(.report_p99_us) us, at most 1,000",
      (if .from_nothing_ms <= 100 then "pass" else "MISS" end)
        + "  from nothing, 1,000 x 16 x 64: \(.from_nothing_ms) ms, at most 100"' <<<"$all"
[ -z "$json" ] || jq . <<<"$all" >"$json"
