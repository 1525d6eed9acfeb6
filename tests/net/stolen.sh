#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A site's key was stolen, and whoever has it says anything. The share of that site may change, up
# to what the operator said it has; the others go on sharing the rest as before, requests are
# answered, and honest reports put everything right again.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# says SITE SECONDS NAME=VALUE...: in the background, as reports-SITE
says() {
    local site=$1 seconds=$2
    shift 2
    lab_stop "reports-$site"
    lab_start "reports-$site" "$site" /usr/bin/python3 "$LAB_TOP/tests/net/report.py" \
        "$LAB_DIR/$site.key" "$(lab_public edge)" fc00:e::1 7801 keep "$seconds" "$@"
}

HONEST="servers=8 service_time_s=0.03 arrivals_per_s=20.0 completions_per_s=20.0 in_flight=1"

# Shares of new flows of infer, for a, b and c, in percent, now
shares() {
    lab_cli edge show routes --json | jq -c '[.routes[] | select(.service == "infer")] |
        sort_by(.site) | map(.weight * 100 | round)'
}

# The same, the mean of a second: sixty requests in it make queues by chance, and shares follow them
mean_shares() {
    for _ in {1..10}; do
        shares
        sleep 0.1
    done | jq -sc 'transpose | map(add / length)'
}

settled() {
    local before
    before=$(shares)
    sleep 0.4
    [ "$(shares)" = "$before" ]
}

# lies NAME LEAST MOST NAME=VALUE...: a's share must end up in between; b and c stay alike, as far
# as sixty requests a second by chance let them
lies() {
    local name=$1 least=$2 most=$3 got
    shift 3
    # shellcheck disable=SC2086 # words
    says a 60 $HONEST "$@"
    sleep 1
    lab_wait 5 "" settled || true
    got=$(mean_shares)
    check_number "$name: share of a" "$(jq '.[0]' <<<"$got")" ">=" "$least" %
    check_number "$name: at most" "$(jq '.[0]' <<<"$got")" "<=" "$most" %
    check_equal "$name: all is given" "$(jq -c '(add - 100 | fabs) <= 1' <<<"$got")" true
    check_number "$name: b and c differ by" "$(jq '.[1] - .[2] | fabs' <<<"$got")" "<=" 10 %
}

refused_for() {
    lab_cli edge show reports --json | jq ".reports[\"$1\"]"
}

test_lab
lab_config_edge
# All as far and as large, so that only reports make a difference: a third each.
sed -i -E 's/delay_ms: .*/delay_ms: 8/; s/servers: .*/servers: 16\n    flows_per_s: 600/' "$LAB_DIR/edge.yaml"
lab_config_gateway
for i in 0 1 2; do
    lab_server_start "${LAB_SITES[i]}" 32 3 --seed "$i"
done
lab_node_start gate
lab_node_start edge
# shellcheck disable=SC2086 # words
for site in b c; do
    says "$site" 120 $HONEST
done
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 60 \
    --seconds 120 --timeout 3000
sleep 4 # the first seconds of a load are not like the rest

lies "honest" 28 38
# No lie gives it more than what it was given, exactly: 16 servers that finish 600 a second.
lies "a million servers" 28 100 servers=1000000
check_equal "and they count as" "$(lab_cli edge show sites --json |
    jq '[.sites[] | select(.name == "a").services[].servers] | max')" 16
lies "work that takes a nanosecond" 28 100 servers=1000000 service_time_s=0.000000001
check_number "and its work counts as" "$(lab_cli edge show routes --json |
    jq '[.routes[] | select(.site == "a").response_ms] | min')" ">=" 26 "ms, by flows_per_s"
lies "a queue without end" 0 5 queued=100000000 in_flight=100000000
lies "a billion arrivals a second" 0 5 arrivals_per_s=1e9 completions_per_s=1e9
lies "no arrivals" 0 95 arrivals_per_s=0.0 completions_per_s=0.0
before=$(refused_for implausible)
for lie in service_time_s=nan service_time_s=-1.0 queued=-5 servers=0 arrivals_per_s=1e12 \
    arrivals_per_s=-1.0 valid_for_ms=4000000000; do
    # shellcheck disable=SC2086
    says a 0.2 $HONEST "$lie"
    lab_wait 5 "" lab_dead reports-a
done
check_equal "not a number, negative, impossible: each is refused" \
    "$(($(refused_for implausible) - before))" 14
before=$(refused_for future)
# shellcheck disable=SC2086
says a 1 $HONEST age_s=-3600.0
lab_wait 5 "" lab_dead reports-a
check_equal "an hour ahead: refused" "$(($(refused_for future) - before))" 10
check_equal "and said once, by name" \
    "$(grep -c '^warning: a: its reports are refused, its clock is 3600.0 s ahead' "$LAB_DIR/control-edge.err")" 1
lies "honest again" 28 38
check_equal "that is said too" "$(grep -c '^info: a: its clock agrees' "$LAB_DIR/control-edge.err")" 1

lab_stop load INT
summary=$(tail -n 1 "$LAB_DIR/load.out")
check_number "requests all the while" "$(jq .done <<<"$summary")" ">" 300 requests
check_equal "of them failed" "$(jq .failed <<<"$summary")" 0
test_end
