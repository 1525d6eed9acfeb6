#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# test.sh [NAME...]: installs what is missing, builds a release and a sanitizer build, runs the
# unit tests in both, then the network tests (tests/net/NAME.sh, all without a name) on the
# release build and some of them again on the sanitizer build. The last line is
# "N passed, N failed"; the exit status is 1 if anything failed.
set -euo pipefail

. "$(dirname "$0")/lab/lab.sh"

RELEASE=$LAB_TOP/build
SANITIZE=$LAB_TOP/build-sanitize
SANITIZED_TESTS=(config coexist reload reports restart announce-frr pmtu hostile bus-hostile)

# Debian's DPDK and libxdp leave this to the end of the process.
export LSAN_OPTIONS=suppressions=$LAB_TOP/tests/net/lsan.supp:print_suppressions=0
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1

PASSED=0
FAILED=0
FAILURES=()

say() {
    printf '== %3d s  %s\n' "$SECONDS" "$*"
}

count() {
    PASSED=$((PASSED + $1))
    FAILED=$((FAILED + $2))
}

failure() {
    FAILURES+=("$1")
}

finish() {
    local failure
    for failure in ${FAILURES[@]+"${FAILURES[@]}"}; do
        echo "failed: $failure"
    done
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" = 0 ] || exit 1
    exit 0
}

# build DIR MESON_OPTION...
build() {
    local dir=$1 log=$1/build.log
    shift
    mkdir -p "$dir"
    say "build: $(basename "$dir") ($*)"
    if [ -e "$dir/build.ninja" ]; then
        meson configure "$dir" "$@" >"$log" 2>&1
    else
        meson setup "$dir" "$LAB_TOP" "$@" >"$log" 2>&1
    fi && ninja -C "$dir" >>"$log" 2>&1 && return
    grep -A12 -m3 -E 'FAILED|ERROR' "$log" || tail -n 20 "$log"
    count 0 1
    failure "build of $(basename "$dir"), see $log"
    finish
}

unit_tests() {
    local name=$1 dir=$2 log=$2/meson-logs/testlog.json
    say "unit tests: $name"
    meson test -C "$dir" --no-rebuild --print-errorlogs 2>&1 | grep -E '^ *[0-9]+/|^[^ ]*ERROR' || true
    count "$(jq -s 'map(select(.result == "OK")) | length' "$log")" \
        "$(jq -s 'map(select(.result != "OK" and .result != "SKIP")) | length' "$log")"
    while read -r test; do
        failure "unit test $test ($name)"
    done < <(jq -r 'select(.result != "OK" and .result != "SKIP").name' "$log")
}

# net_test BUILD_NAME DIR TEST_FILE
net_test() {
    local name log status=0 not_ok line
    name=$(basename "$3" .sh)
    log=$2/net-$name.log
    say "network test: $name ($1)"
    LAB_BUILD=$2 timeout --kill-after=10 150 "$3" >"$log" 2>&1 || status=$?
    grep -E '^(ok|not ok) |^   ' "$log" || true
    not_ok=$(grep -c '^not ok ' "$log") || true
    if [ "$status" != 0 ] && [ "$not_ok" = 0 ]; then
        echo "not ok $name: ended with status $status" | tee -a "$log"
        not_ok=1
    fi
    if grep -qE '(Address|Leak)Sanitizer|runtime error:' "$log" && [ "$not_ok" = 0 ]; then
        echo "not ok $name: sanitizers are silent about commands" | tee -a "$log"
        not_ok=1
    fi
    count "$(grep -c '^ok ' "$log" || true)" "$not_ok"
    if [ "$not_ok" != 0 ]; then
        while read -r line; do
            failure "${line#not ok } ($1, $log)"
        done < <(grep '^not ok ' "$log")
        sed -n '/^---/,$p' "$log" | tail -n 40
    fi
}

lab_need_root scripts/test.sh
"$LAB_TOP/scripts/install.sh" --peers
build "$RELEASE" -Dbuildtype=release -Dwerror=true
build "$SANITIZE" -Dbuildtype=debug -Dwerror=true -Db_sanitize=address,undefined
unit_tests release "$RELEASE"
unit_tests sanitizers "$SANITIZE"

tests=()
for name in "$@"; do
    for place in tests/net tests scripts; do
        [ ! -e "$LAB_TOP/$place/$name.sh" ] || tests+=("$LAB_TOP/$place/$name.sh")
    done
done
[ ${#tests[@]} -gt 0 ] || [ $# = 0 ] || lab_fail "no such test: $*"
[ $# -gt 0 ] || tests=("$LAB_TOP"/tests/net/*.sh "$LAB_TOP/tests/instructions.sh" "$LAB_TOP/scripts/bench-reaction.sh")
for test in "${tests[@]}"; do
    net_test release "$RELEASE" "$test"
done
for name in "${SANITIZED_TESTS[@]}"; do
    if [ $# = 0 ] || [[ " $* " == *" $name "* ]]; then
        net_test sanitizers "$SANITIZE" "$LAB_TOP/tests/net/$name.sh"
    fi
done
say "done"
finish
