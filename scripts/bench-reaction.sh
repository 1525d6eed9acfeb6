#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-reaction.sh: from a report's arrival at control to the dataplane's acknowledgement of
# the route that it changed, as control measures it. Real programs in a lab; reports come
# from tests/net/report.py, 40 a second for 10 s from each of two sites.

. "$(dirname "$0")/lab/checks.sh"

walk() {
    lab_start "reports-$1" "$1" /usr/bin/python3 "$LAB_TOP/tests/net/report.py" \
        "$LAB_DIR/$1.key" "$(lab_public edge)" fc00:e::1 7801 walk 400 40 infer stream
}

test_lab
lab_config_edge
lab_node_start edge
walk a
walk b
lab_wait 20 "reports are sent" lab_dead reports-a
lab_wait 5 "reports are sent" lab_dead reports-b
reaction=$(lab_cli edge show status --json | jq -c '.reaction_us | map_values(round)')
echo "report to acknowledged route, microseconds: $reaction"
check_number "reactions measured" "$(jq .count <<<"$reaction")" ">=" 100 reactions
check_number "p50 from report to acknowledged route" "$(jq .p50 <<<"$reaction")" "<" 1000 µs
test_end
