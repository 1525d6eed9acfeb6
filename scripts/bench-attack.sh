#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-attack.sh [--json FILE]: how long control takes to apply a good report while its telemetry
# port is flooded with 200,000 datagrams a second that are none: of each kind that an attacker can
# make who knows all public keys and has recorded the line. Seen from outside (bench/attack.py).
# Control, dataplane and the flood share this machine's cores; what really arrived is printed.
# PER_SECOND, REPORTS (good ones for each kind) and P99_MS (the bound) change the size.

. "$(dirname "$0")/lab/checks.sh"

PER_SECOND=${PER_SECOND:-200000}
REPORTS=${REPORTS:-100}
P99_MS=${P99_MS:-50}
JSON=
[ "${1:-}" != --json ] || JSON=${2:?a file}

# NAME: datagrams of report.py, and how the flood sends them
KINDS=(
    "noise:noise:--vary"          # random bytes
    "truncated:truncated:"        # a good report cut short
    "unknown key:unknown:--vary"  # well made by somebody unknown
    "real site:forged:--vary"     # names a real site and a plausible sequence
    "replayed:good:"              # recorded good reports, each taken once
    "stolen key:signature:"       # all right but the signature, which costs most
)

counts() {
    lab_cli edge show reports --json | jq -c .reports
}

hex() { # KIND SITE COUNT
    /usr/bin/python3 "$LAB_TOP/tests/net/report.py" "$LAB_DIR/$2.key" "$(lab_public edge)" \
        - 0 hex "$3" "$1" infer stream
}

measure() { # of site a
    lab_in edge /usr/bin/python3 "$LAB_TOP/scripts/bench/attack.py" "$LAB_DIR/edge" fc00:e::1 7801 \
        "$REPORTS" "$LAB_DIR/a.key" "$(lab_public edge)" infer stream
}

row() { # NAME FIGURES ARRIVED_PER_S DROPPED
    printf '%-12s %10s %10s %6s %8s %8s %8s\n' "$1" "$3" "$4" \
        "$(jq .lost <<<"$2")" "$(jq .p50_ms <<<"$2")" "$(jq .p99_ms <<<"$2")" "$(jq .max_ms <<<"$2")"
    RESULTS+=("$(jq -c --arg kind "$1" --argjson per_s "$3" --argjson dropped "$4" \
        '{flood: $kind, arrived_per_s: $per_s, dropped_by_kernel: $dropped} + .' <<<"$2")")
}

flood() { # NAME KIND VARY
    local seconds=$((REPORTS / 10 + 1)) before after figures arrived
    # Recorded from b, which is silent otherwise: a's good reports go on meanwhile.
    hex "$2" b 64 >"$LAB_DIR/datagrams"
    before=$(counts)
    lab_start flood edge sh -c "exec '$LAB_TOOLS/flood' fc00:e::1 7801 $PER_SECOND $seconds $3 \
        <'$LAB_DIR/datagrams'"
    figures=$(measure)
    lab_wait 10 "the flood ends" lab_dead flood
    after=$(counts)
    arrived=$(jq -n --argjson a "$before" --argjson b "$after" --argjson s "$seconds" \
        '[$b | to_entries[] | .value - ($a[.key] // 0)] | add / $s | round')
    row "$1" "$figures" "$arrived" "$(jq -n --argjson a "$before" --argjson b "$after" \
        '$b.dropped - $a.dropped')"
    echo "   $(tail -n 1 "$LAB_DIR/flood.out")  $(jq -nc --argjson a "$before" --argjson b "$after" \
        '[$b | to_entries[] | select(.value > $a[.key]) | {(.key): (.value - $a[.key])}] | add')"
}

test_lab
lab_config_edge
lab_node_start edge
RESULTS=()
printf '%-12s %10s %10s %6s %8s %8s %8s\n' flood "arrived/s" dropped lost "p50 ms" "p99 ms" "max ms"
row none "$(measure)" 0 0
for kind in "${KINDS[@]}"; do
    IFS=: read -r name what vary <<<"$kind"
    flood "$name" "$what" "$vary"
done
[ -z "$JSON" ] || printf '%s\n' "${RESULTS[@]}" | jq -s . >"$JSON"
for result in "${RESULTS[@]}"; do
    name=$(jq -r .flood <<<"$result")
    check_equal "good reports lost, flood: $name" "$(jq .lost <<<"$result")" 0
    check_number "p99 until a good report is applied, flood: $name" \
        "$(jq .p99_ms <<<"$result")" "<" "$P99_MS" ms
done
test_end
