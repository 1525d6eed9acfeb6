#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Encapsulated packets as captured on the overlay, judged by scapy (dissect.py); also over a
# transit node whose kernel advances the segments (RFC 8986 section 4.1, End).

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# captured NAME: 40 requests while the router's side of the edge link is captured
captured() {
    lab_start capture router tcpdump -U -i e0 -w "$LAB_DIR/capture.pcap" \
        'ip6 src fc00:e::1 and not udp'
    lab_wait 5 "tcpdump listens" grep -q "listening on" "$LAB_DIR/capture.err"
    summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 40 --constant --seconds 1 --timeout 3000 | tail -n 1)
    check_equal "requests $1: failed" "$(jq .failed <<<"$summary")" 0
    lab_stop capture INT
    result=$(/usr/bin/python3 "$LAB_TOP/tests/net/dissect.py" "$LAB_DIR/capture.pcap")
    rm -f "$LAB_DIR/capture.pcap" "$LAB_DIR/capture.err"
    check_equal "scapy finds no fault $1" "$(jq -c .faults <<<"$result")" "[]"
    check_equal "both inner families $1" "$(jq '.inner4 > 50 and .inner6 > 50' <<<"$result")" \
        true
    check_number "flow labels of $(jq .flows <<<"$result") flows $1" \
        "$(jq .labels <<<"$result")" ">=" 30 labels
}

test_lab
LAB_MEAN_MS=2 lab_engine_up 16 16 16
captured "one segment"
check_equal "a single segment has no SRH" "$(jq '.srh // 0' <<<"$result")" 0

# The router is a segment endpoint on the way to site a now.
lab_ip router <<END
route add fc00:f:0:1::/64 encap seg6local action End dev e0
END
lab_stop control-edge
lab_stop dataplane-edge
sed -i 's/sid4: "fc00:a:0:4::"/sid4: ["fc00:f:0:1::1", "fc00:a:0:4::"]/
    s/sid6: "fc00:a:0:6::"/sid6: ["fc00:f:0:1::1", "fc00:a:0:6::"]/' "$LAB_DIR/edge.yaml"
lab_node_start edge
lab_steer_to a
captured "two segments"
check_equal "every packet has an SRH" "$(jq '.srh == .packets' <<<"$result")" true
check_equal "they reached site a" "$(jq -c '.sites | keys' <<<"$summary")" '["a"]'
test_end
