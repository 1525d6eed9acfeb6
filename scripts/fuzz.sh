#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fuzz.sh [--seconds N] [--seed N] [TARGET...]: fuzzes everything that reads foreign bytes (tests/fuzz),
# each target for N seconds (default 60), with AddressSanitizer and UBSan. Starts from the corpus in
# the tree and from what earlier runs found (build-fuzz/found/TARGET). Prints per target
# executions and crashes, then the lines covered of the parsers. Ends 0 only if nothing crashed
# and each of the parsers is covered above 90 %; an input that crashes is left in
# build-fuzz/crash-TARGET-*.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$TOP/build-fuzz
SECONDS_EACH=60
SEED=$(date +%s)
TARGETS=()
LINES_PERCENT_MIN=90

while [ $# -gt 0 ]; do
    case $1 in
    --seconds) SECONDS_EACH=${2:?--seconds N}; shift ;;
    --seed) SEED=${2:?--seed N}; shift ;;
    -*) echo "usage: fuzz.sh [--seconds N] [--seed N] [TARGET...]" >&2; exit 2 ;;
    *) TARGETS+=("$1") ;;
    esac
    shift
done

# target -> the files whose lines count
declare -A PARSERS=(
    [parse]="dataplane/parse.c dataplane/decap.c"
    [icmp]="dataplane/icmp.c dataplane/header.c"
    [outer_error]="dataplane/outer_error.c"
    [fragment]="dataplane/fragment.c dataplane/header.c"
    [route]="dataplane/route_check.c"
    [stamp]="dataplane/stamp.c dataplane/reflector.c dataplane/reflect_frame.c"
    [telemetry]="control/telemetry/verify.c control/telemetry/plausible.c"
    [approval]="control/telemetry/approval.c"
    [subject]="control/telemetry/subject.c"
    [config]="control/config.c control/config_announce.c control/config_bus.c control/config_probes.c control/config_publish.c control/config_check.c control/config_site.c control/config_value.c control/config_yaml.c"
    [netlink]="dataplane/netlink_parse.c"
    [request]="control/answer.c"
    [scrape]="control/agent/exposition.c control/agent/orca.c"
)
[ ${#TARGETS[@]} -gt 0 ] || TARGETS=(parse icmp outer_error fragment route stamp telemetry subject approval config netlink request scrape)
for target in "${TARGETS[@]}"; do
    [ -n "${PARSERS[$target]:-}" ] || { echo "no target '$target'; there are: ${!PARSERS[*]}" >&2; exit 2; }
done

"$TOP/scripts/install.sh" >/dev/null
if ! ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-"$(uname -m)".a >/dev/null 2>&1; then
    echo "fuzz.sh: libFuzzer is missing: apt-get install libclang-rt-14-dev" >&2
    exit 1
fi

build() {
    local log=$BUILD/build.log
    mkdir -p "$BUILD"
    export LLVM_PROFILE_FILE=$BUILD/build.profraw # of what the build itself runs
    if [ ! -e "$BUILD/build.ninja" ]; then
        CC=clang nice meson setup "$BUILD" "$TOP" -Dbuildtype=debugoptimized -Db_lundef=false \
            -Db_sanitize=address,undefined \
            "-Dc_args=['-fsanitize=fuzzer-no-link','-fprofile-instr-generate','-fcoverage-mapping']" \
            "-Dc_link_args=['-fsanitize=fuzzer-no-link','-fprofile-instr-generate']" >"$log" 2>&1
    fi && nice ninja -C "$BUILD" "${TARGETS[@]/#/tests/fuzz/fuzz_}" >"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    exit 1
}

# fuzz TARGET: sets $executions, $crashed
fuzz() {
    local target=$1 found=$BUILD/found/$1 log=$BUILD/fuzz-$1.log status=0
    mkdir -p "$found"
    LLVM_PROFILE_FILE=$BUILD/$target.profraw UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        timeout --kill-after=10 $((SECONDS_EACH + 120)) nice -n 19 "$BUILD/tests/fuzz/fuzz_$target" \
        -max_total_time="$SECONDS_EACH" -seed="$SEED" -timeout=10 -max_len=4096 -verbosity=1 \
        -print_final_stats=1 -artifact_prefix="$BUILD/crash-$target-" \
        "$found" "$TOP/tests/fuzz/corpus/$target" >"$log" 2>&1 || status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    crashed=0
    if [ "$status" != 0 ]; then
        crashed=1
        grep -m3 -E 'ERROR:|runtime error:|Assertion|SUMMARY|artifact' "$log" || tail -n 5 "$log"
    fi
}

# Lines of the parsers that were executed, in percent; "below" marks one that is under the bound.
coverage() {
    local target=$1
    llvm-profdata merge -sparse "$BUILD/$target.profraw" -o "$BUILD/$target.profdata"
    # shellcheck disable=SC2016 # jq's variables
    llvm-cov export -summary-only -instr-profile="$BUILD/$target.profdata" \
        "$BUILD/tests/fuzz/fuzz_$target" 2>/dev/null |
        jq -r --arg files "${PARSERS[$target]}" --argjson min "$LINES_PERCENT_MIN" '
            ($files | split(" ")) as $wanted | .data[0].files[] |
            (.filename | sub("^.*/build-fuzz/\\.\\./"; "")) as $name |
            select($wanted | index($name)) | .summary.lines as $l |
            "  \($name)  \($l.covered)/\($l.count) lines, \($l.percent * 10 | round / 10) %" +
            if $l.percent < $min then "  below \($min) %" else "" end'
}

build
crashes=0
low=0
echo "seed $SEED, $SECONDS_EACH s each"
for target in "${TARGETS[@]}"; do
    fuzz "$target"
    printf '%-10s %10s executions  %s\n' "$target" "${executions:-0}" \
        "$([ "$crashed" = 0 ] && echo "no crash" || echo "CRASHED, see $BUILD/fuzz-$target.log")"
    crashes=$((crashes + crashed))
    [ "$crashed" = 0 ] || continue
    report=$(coverage "$target")
    echo "$report"
    ! grep -q '  below ' <<<"$report" || low=$((low + 1))
done
echo "$crashes of ${#TARGETS[@]} targets crashed, $low covered below $LINES_PERCENT_MIN %"
[ "$crashes" = 0 ] && [ "$low" = 0 ]
