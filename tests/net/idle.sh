#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Without traffic a dataplane uses less than 2 % of a core.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

test_lab
lab_engine_up 4 4 4
sleep 1 # what starting left behind
declare -A before
for process in dataplane-edge dataplane-gate control-edge control-gate; do
    before[$process]=$(lab_cpu_ms "$process")
done
start=$(date +%s%N)
sleep 5 # the measurement itself
elapsed_ms=$((($(date +%s%N) - start) / 1000000))
for process in dataplane-edge dataplane-gate control-edge control-gate; do
    percent=$(jq -n "($(lab_cpu_ms "$process") - ${before[$process]}) * 100 / $elapsed_ms * 100 | round / 100")
    if [[ $process == dataplane-* ]]; then
        check_number "CPU of idle $process" "$percent" "<" 2 "% of a core"
    else
        echo "   CPU of $process, hearing 3 sites: $percent % of a core"
    fi
done
test_end
