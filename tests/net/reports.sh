#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Reports of a second implementation (report.py): good ones count, all others are counted under
# their own reason and leave the routes as they are.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# kind of datagram and the reason it must be counted under
KINDS="short:size long:size truncated:tag garbled:tag noise:format magic:format
    unknown:unknown-key forged:tag undecodable:decode signature:signature replayed:replayed
    stale:stale future:future nan:implausible negative:implausible no-servers:implausible"

# send SITE KIND: a report of that site's key about both services
send() {
    lab_in "$1" /usr/bin/python3 "$LAB_TOP/tests/net/report.py" "$LAB_DIR/$1.key" \
        "$(lab_public edge)" fc00:e::1 7801 "$2" infer stream
}

counts() {
    lab_cli edge show reports --json | jq -Sc '.reports'
}

# Which reasons rose, and by how much, from one set of counts to another.
risen() {
    jq -nc --argjson a "$1" --argjson b "$2" \
        '[$b | to_entries[] | select(.value > ($a[.key] // 0)) |
          "\(.key)+\(.value - ($a[.key] // 0))"] | join(" ")'
}

routes() {
    lab_cli edge show routes --json | jq -Sc \
        '[.routes[] | {service, site, weight}] | sort_by(.service, .site)'
}

generations() {
    lab_cli edge show services --json | jq -c '[.services[].generation]'
}

steady() {
    local before
    before=$(routes)
    sleep 0.3 # the time over which nothing may change
    [ "$(routes)" = "$before" ]
}

received() {
    [ "$(counts)" != "$1" ]
}

test_lab
lab_config_edge
lab_node_start edge
for site in a b; do
    before=$(counts)
    send "$site" good
    lab_wait 3 "" received "$before" || true
    check_equal "a good report of site $site" "$(risen "$before" "$(counts)")" '"accepted+1"'
done
check "site a is fresh" "not fresh" lab_wait 3 "" lab_site_is a fresh
# Without reports from c the weights drift for a while; then nothing moves.
lab_wait 15 "routes at rest" steady

before_routes=$(routes)
before_generations=$(generations)
for kind in $KINDS; do
    reason=${kind#*:}
    before=$(counts)
    send a "${kind%:*}"
    lab_wait 3 "" received "$before" || true
    expected="$reason+1"
    # A replayed report was good the first time.
    [ "$reason" != replayed ] || { lab_wait 1 "" test "$(counts | jq .replayed)" != 0 || true
        expected="accepted+1 replayed+1"; }
    check_equal "${kind%:*} is counted as $reason" "$(risen "$before" "$(counts)")" \
        "\"$expected\""
done
check_equal "routes after all of them" "$(routes)" "$before_routes"
check_equal "nothing was published because of them" "$(generations)" "$before_generations"

# The opposite case, so that "unchanged" says something.
send a busy
changed() {
    [ "$(routes)" != "$before_routes" ]
}
check "a good report of a busy site changes the routes" "unchanged" lab_wait 3 "" changed

# What /metrics predicts and what the site says, of 240 flows/s for 8 servers of 30 ms, 7 in flight
# in the mean: Erlang's formula as it is in books, evened out to 0.3 (estimate.h), and Little's law.
lab_in b /usr/bin/python3 "$LAB_TOP/tests/net/report.py" "$LAB_DIR/b.key" "$(lab_public edge)" \
    fc00:e::1 7801 keep 4 servers=8 service_time_s=0.03 arrivals_per_s=240 completions_per_s=240 in_flight=7
lab_in edge curl -s http://127.0.0.1:9801/metrics >"$LAB_DIR/metrics"
check "predicted and reported response in /metrics" "see its output" /usr/bin/python3 - "$LAB_DIR/metrics" <<'END'
import math, re, sys

def metric(name):
    return float(re.search(rf'^suanlu_{name}{{service="infer",site="b"}} (\S+)', open(sys.argv[1]).read(), re.M)[1])

servers, service_s, per_s = 8, 0.03, 240
offered = per_s * service_s
full = offered**servers / math.factorial(servers) * servers / (servers - offered)
waits = full / (full + sum(offered**n / math.factorial(n) for n in range(servers)))
expected = {'response_seconds': service_s + 0.3 * waits / (servers / service_s - per_s),
            'reported_response_seconds': 7 / per_s}
for name, value in expected.items():
    print(name, metric(name), 'instead of', value)
sys.exit(any(abs(metric(name) / value - 1) > 0.02 for name, value in expected.items()))
END
test_end
