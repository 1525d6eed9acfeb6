#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Right forwarding, judged by scapy (forward.py): hop limits, DSCP and ECN (RFC 6040), options,
# extension headers, VLAN tags, checksums; and a loop of two nodes, which the hop limit ends.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

LAB_MORE_SERVICES="  - name: datagrams
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: udp
    port: 82"

verdict() {
    lab_cli "$1" show counters --json | jq ".verdicts[\"$2\"]"
}

# forward WHAT NAME: sets $result
forward() {
    result=$(timeout 60 /usr/bin/python3 "$LAB_TOP/tests/net/forward.py" "$1" "$LAB" 2>"$LAB_DIR/forward.err")
    check_equal "$2: $(jq .packets <<<"$result") packets as scapy has them" \
        "$(jq -c .faults <<<"$result")" "[]"
}

narrow() {
    lab_cli edge show neighbours --json | jq -e '.neighbours | all(.mtu_bytes == 1500)'
}

# both VERDICT: of edge and gate together
both() {
    echo $(($(verdict edge "$1") + $(verdict gate "$1")))
}

all_ended() {
    [ "$(both hop-limit)" -ge $((ended + 100)) ]
}

test_lab
LAB_MEAN_MS=2 lab_engine_up 16 16 16
lab_steer_to a
forward edge "what the edge encapsulates"
check_number "of them" "$(jq .packets <<<"$result")" ">" 1000 packets

congested=$(verdict gate congested)
forward gate "what the gateway decapsulates, each pair of inner and outer ECN"
check_equal "not-ECT inside, CE outside: dropped, and counted as congested" \
    "$(($(verdict gate congested) - congested))" "$(jq .dropped <<<"$result")"

lab_in edge ip link set o0 mtu 1500
lab_wait 5 "the edge knows its port's MTU" narrow
forward pieces "IPv4 without DF in pieces"

# The gateway's site is the edge, whose site is the gateway: a mistake of two configurations, each
# right by itself. Each turn takes a hop off.
for node in edge gate; do
    lab_stop "control-$node"
    lab_stop "dataplane-$node"
done
sed -i 's/deliver4: 10.3.0.2/sid: fc00:e:0:46::1/
    /deliver6/d' "$LAB_DIR/gate.yaml"
sed -i 's/^  ports: .*/&\n  sids: ["fc00:e:0:46::\/64"]/' "$LAB_DIR/edge.yaml"
lab_node_start gate
lab_node_start edge
lab_steer_to c
encapsulated=$(both encapsulated)
ended=$(both hop-limit)
/usr/bin/python3 "$LAB_TOP/tests/net/forward.py" hops "$LAB" 2>"$LAB_DIR/forward.err"
lab_wait 5 "packets come to their end" all_ended
check_equal "100 packets with 20 hops left, encapsulated" "$(($(both encapsulated) - encapsulated))" \
    1900
check_equal "and then ended" "$(($(both hop-limit) - ended))" 100
test_end
