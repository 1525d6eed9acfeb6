#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# instructions.sh: what a pinned packet and a new flow cost in the worker, in instructions, by
# callgrind, which counts the same on a loaded machine as on an idle one. The AVX2 form (valgrind
# knows no AVX-512). Few flows, so that the first packets of each do not count even where the machine is slow. Bounds have room for another compiler, not for another pass over the burst.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${LAB_BUILD:-$TOP/build}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# count NAME PACKETS FLOWS BOUND
count() {
    local instructions packets each
    SUANLU_FORM=v3 SOURCE_PACKET=$2 SOURCE_FLOWS=$3 SOURCE_WARM=0 SOURCE_LIMIT=100000 SOURCE_SECONDS=100 \
        SOURCE_TOTAL=$WORK/packets timeout 100 valgrind --tool=callgrind \
        --callgrind-out-file="$WORK/out" "$BUILD/scripts/bench/fastpath" --no-huge -m 300 --no-pci \
        --no-telemetry --file-prefix="instructions-$$" --vdev net_null0 --vdev net_null1 --lcores "0@(0,1),1@(0,1)" \
        -- "$1" 65536 1 >"$WORK/log" 2>&1 </dev/null || true
    packets=$(cat "$WORK/packets" 2>/dev/null || echo 0)
    # the worker alone: its loop with all that it inlines, and what it calls of ours
    instructions=$(callgrind_annotate --threshold=100 "$WORK/out" 2>/dev/null |
        awk '/fastpath\]/ && /:(run|remember|enter_or_drop|pin_rare)[. ]/ {gsub(",", "", $1); n += $1} END {printf "%.0f", n}')
    if [ "$packets" -lt 10000 ]; then
        echo "not ok instructions: $1: did not run: $(tail -n 2 "$WORK/log")"
        return
    fi
    each=$((instructions / packets))
    if [ "$each" -gt 0 ] && [ "$each" -le "$4" ]; then
        echo "ok instructions: $1: $each instructions a packet, at most $4"
    else
        echo "not ok instructions: $1: $each instructions a packet, at most $4"
    fi
}

if ! command -v valgrind >/dev/null; then
    echo "not ok instructions: valgrind is missing (apt-get install valgrind)"
    exit 1
fi
count pinned-ipv4 ipv4-tcp 64 320
count pinned-ipv6 ipv6-tcp 64 320
count new-flow-ipv4 ipv4-tcp 0 560
