#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What network tests and the demo share to say what holds: a line "ok NAME" or "not ok NAME: WHY"
# per check. A network test is
#
#	. "$(dirname "$0")/../../scripts/lab/checks.sh"
#	test_lab                      its own lab, removed at its end however it ends
#	check "NAME" "WHY NOT" COMMAND...
#	test_end
#
# A test that ends early has failed, and the logs of its lab are shown.
set -euo pipefail

# shellcheck source=scripts/lab/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

CHECKS_FAILED=0
CHECKS_DONE=0
FAILED_NAMES=
TEST_NAME=$(basename "$0" .sh)

ok() {
    CHECKS_DONE=$((CHECKS_DONE + 1))
    echo "ok $TEST_NAME: $1"
}

not_ok() {
    CHECKS_DONE=$((CHECKS_DONE + 1))
    CHECKS_FAILED=$((CHECKS_FAILED + 1))
    FAILED_NAMES+="${FAILED_NAMES:+; }$1"
    echo "not ok $TEST_NAME: $1: $2"
}

# check NAME WHY COMMAND...: WHY says what to think if COMMAND fails
check() {
    local name=$1 why=$2
    shift 2
    if "$@" >/dev/null; then
        ok "$name"
    else
        not_ok "$name" "$why"
    fi
}

# check_number NAME VALUE RELATION BOUND UNIT: RELATION is <, <=, >, >= or ==
check_number() {
    local value name
    value=$(jq -n "$2 * 100 | round / 100" 2>/dev/null) || value="'$2'"
    name="$1: $value $5 ($3 $4)"
    if jq -en "$2 $3 $4" >/dev/null 2>&1; then
        ok "$name"
    else
        not_ok "$1" "$value $5, expected $3 $4"
    fi
}

check_equal() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "'$2' instead of '$3'"
    fi
}

# The counter identity, on every node of this lab that has run.
check_identity() {
    local node
    for node in edge gate; do
        [ -e "$LAB_DIR/$node/counters" ] || continue
        if lab_wait 3 "" lab_identity_holds "$node"; then
            ok "verdicts of $node add up to its packets"
        else
            not_ok "verdicts of $node add up to its packets" \
                "$(lab_cli "$node" show counters --json 2>&1 | tr -d '\n' | cut -c1-600)"
        fi
    done
}

lab_logs() {
    local file
    for file in "$LAB_DIR"/*.err; do
        [ ! -s "$file" ] || { echo "--- $(basename "$file" .err)"; tail -n 40 "$file"; }
    done
}

test_over() {
    local status=$?
    trap - EXIT INT TERM
    if [ "$status" != 0 ] && [ "$CHECKS_FAILED" = 0 ]; then
        echo "not ok $TEST_NAME: ended early (status $status)"
    fi
    if [ "$status" != 0 ] && [ -d "$LAB_DIR" ]; then
        lab_logs >&2
    fi
    if [ -n "${LAB_KEEP:-}" ] && [ "$status" != 0 ]; then
        echo "lab $LAB kept; remove it with scripts/lab/lab.sh down $LAB" >&2
    else
        lab_down
    fi
    exit "$status"
}

test_lab() {
    lab_need_root "$0"
    trap test_over EXIT
    trap 'exit 130' INT TERM
    lab_up
}

# Ends the test: the identity, sanitizer reports, then the status.
test_end() {
    local file
    check_identity
    for file in "$LAB_DIR"/*.err; do
        if grep -qE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$file" 2>/dev/null; then
            not_ok "sanitizers are silent about $(basename "$file" .err)" \
                "$(grep -m1 -E 'Sanitizer:|runtime error:' "$file")"
        fi
    done
    [ "$CHECKS_DONE" -gt 0 ] && [ "$CHECKS_FAILED" = 0 ]
}
