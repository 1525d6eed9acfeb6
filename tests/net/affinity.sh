#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# 1,000 weight changes while 200 connections carry data: none changes its site, none breaks.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

CHANGES=1000

# held SITE CONNECTIONS: opens them while all weight is at SITE
held() {
    lab_steer_to "$1"
    lab_start "hold-$1" client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections "$2" --seconds 600 --interval 250
    lab_wait 10 "$2 connections at $1" lab_established "$1" "$2"
}

generation() {
    lab_cli edge show services --json |
        jq '.services[] | select(.name == "stream").acknowledged'
}

test_lab
lab_engine_up 64 64 64
held a 70
held b 70
held c 60
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 20 \
    --seconds 600

first=$(generation)
changes=0
until=$((SECONDS + 90))
while [ "$changes" -lt "$CHANGES" ] && [ "$SECONDS" -lt "$until" ]; do
    for site in "${LAB_SITES[@]}"; do
        lab_cli edge drain "$site" >/dev/null
        lab_cli edge undrain "$site" >/dev/null
    done
    changes=$(($(generation) - first))
done
check_number "weight changes that the dataplane acknowledged" "$changes" ">=" "$CHANGES" changes

lab_stop load
for site in "${LAB_SITES[@]}"; do
    lab_stop "hold-$site" INT
    result=$(tail -n 1 "$LAB_DIR/hold-$site.out")
    check_equal "connections at $site: opened, broken, changed site, garbled" \
        "$(jq -c '[.opened == .connections, .broken, .changed, .garbled]' <<<"$result")" \
        "[true,0,0,0]"
    check_equal "they stayed at $site" "$(jq -c '.sites | keys' <<<"$result")" "[\"$site\"]"
    check_number "records that each carried" "$(jq '.records / .connections' <<<"$result")" ">" 3 records
done
summary=$(tail -n 1 "$LAB_DIR/load.out")
check_equal "failed requests meanwhile" "$(jq .failed <<<"$summary")" 0
check_number "sites that took new requests meanwhile" "$(jq '.sites | length' <<<"$summary")" "==" 3 sites
test_end
