#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two edges announce the same addresses, one by FRR and one by BIRD; their neighbour's kernel
# spreads flows over both by ECMP; a killed edge's flows move to the other.
#
#	client e0 10.0.0.2 ---- c0 edge  o0 fd00:e::1  ---- e0 router
#	client e1 10.5.0.2 ---- c0 edge2 o0 fd00:e2::1 ---- e2 router

. "$(dirname "$0")/../../scripts/lab/checks.sh"
. "$(dirname "$0")/../../scripts/lab/bgp.sh"

LAB_ROLES+=(edge2)
LAB_ANNOUNCE='{}'

edge2_links() {
    local end
    lab_link client e1 edge2 c0 1500
    lab_link edge2 o0 router e2 1600
    for end in client:e1 edge2:c0 edge2:o0 router:e2; do
        lab_in "${end%:*}" sh -c "ethtool -K ${end#*:} tx off rx off gso off tso off gro off \
            >/dev/null 2>&1; ip link set ${end#*:} up"
    done
    lab_ip client <<END
addr add 10.5.0.2/24 dev e1
addr add fd05::2/64 dev e1 nodad
END
    lab_ip edge2 <<END
addr add 10.5.0.1/24 dev c0
addr add fd05::1/64 dev c0 nodad
addr add fd00:e2::1/64 dev o0 nodad
addr add fc00:e2::1/128 dev lo nodad
route add default via fd00:e2::2
END
    lab_ip router <<END
addr add fd00:e2::2/64 dev e2 nodad
route add fc00:e2::/48 via fd00:e2::1
END
    # By ports as well as addresses, so that one client's flows spread.
    lab_in client sysctl -qw net.ipv4.fib_multipath_hash_policy=1 \
        net.ipv6.fib_multipath_hash_policy=1
}

edge2_config() {
    lab_key edge2
    sed -e 's/^node: edge/node: edge2/; s/fc00:e::1/fc00:e2::1/' \
        -e "s|^key: .*|key: $LAB_DIR/edge2.key|; s|^run_dir: .*|run_dir: $LAB_DIR/edge2|" \
        "$LAB_DIR/edge.yaml" >"$LAB_DIR/edge2.yaml"
}

# Reports go to both edges.
agent_config() {
    lab_config_agent "$1" 16
    sed -i "s|^services:|  - to: \"[fc00:e2::1]:7801\"\n    key: $(lab_public edge2)\n&|" \
        "$LAB_DIR/agent-$1.yaml"
}

flows_at() {
    lab_in "$1" curl -s http://127.0.0.1:9801/metrics |
        awk '/^suanlu_member_new_flows_total/ { sum += $2 } END { print sum + 0 }'
}

# burst NAME: 100 requests over 2 s to both addresses
burst() {
    summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 50 --constant --seconds 2 --timeout 3000 | tail -n 1)
    check_equal "requests $1: done, failed" "$(jq -c '[.done >= 95, .failed]' <<<"$summary")" \
        "[true,0]"
}

edge_killed() {
    local name
    for name in control-edge dataplane-edge bgpd-edge zebra-edge; do
        lab_stop "$name" KILL
    done
    ip -n "$(lab_ns edge)" link set c0 down
}

test_lab
bgp_up
edge2_links
lab_config_edge optimal a b
edge2_config
for site in a b; do
    agent_config "$site"
    lab_server_start "$site" 16 2
    lab_agent_start "$site"
done
bgp_neighbour_start 10.0.0.1 fd00::1 10.5.0.1 fd05::1
bgp_edge_frr edge 10.0.0.1 10.0.0.2 fd00::2
bgp_edge_bird edge2 10.5.0.1 10.5.0.2 fd05::2
lab_node_start edge
check "one edge: one next hop" "see ip route in the client" lab_wait 15 "" bgp_learnt 1
lab_node_start edge2
check "two edges: two next hops" "see ip route in the client" lab_wait 15 "" bgp_learnt 2
burst "over two edges"
flows=$(flows_at edge)
flows2=$(flows_at edge2)
check_number "flows through edge, of $((flows + flows2))" "$flows" ">=" 25 flows
check_number "flows through edge2" "$flows2" ">=" 25 flows

# Each edge has pins and a secret of its own: with one site, both choose the same.
lab_cli edge drain b >/dev/null
lab_cli edge2 drain b >/dev/null
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections 40 --seconds 600 --interval 200 --timeout 10000
lab_wait 10 "40 connections" lab_established a 40
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 50 \
    --constant --seconds 600 --timeout 1000
lab_wait 5 "requests flow" test -s "$LAB_DIR/load.out"
started=$(date +%s%N)
edge_killed
check "the killed edge's next hops are gone" "they are not" lab_wait 10 "" bgp_learnt 1
echo "   the neighbour's kernel has one next hop after $((($(date +%s%N) - started) / 1000000)) ms"
lab_stop load INT
echo "   while the edge died: $(tail -n 1 "$LAB_DIR/load.out" | jq -c '{done, failed, failures}')"
lab_cli edge2 undrain b >/dev/null
before=$(flows_at edge2)
burst "over the edge that is left"
lab_stop hold INT
check_equal "connections that stood all the while: opened, broken, changed site" \
    "$(tail -n 1 "$LAB_DIR/hold.out" | jq -c '[.opened, .broken, .changed]')" "[40,0,0]"
check_number "all of them through edge2" "$(($(flows_at edge2) - before))" ">=" 95 flows
test_end
