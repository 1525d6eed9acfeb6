#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Next hops follow the kernel: a neighbour's new MAC, a changed route, next hop objects and groups, a
# link down and up, a carrier lost, an MTU, under traffic (nexthop.py); another way loses
# nothing meanwhile. Then a flood to a neighbour that does not answer, and notifications lost.
#
#	edge o0 fd00:e::1  ---- e0 router fd00:e::2
#	edge o1 fd00:e1::1 ---- e1 router fd00:e1::2

. "$(dirname "$0")/../../scripts/lab/checks.sh"

second_link() {
    local end
    lab_link edge o1 router e1 1600
    for end in edge:o1 router:e1; do
        lab_in "${end%:*}" sh -c "ethtool -K ${end#*:} tx off rx off gso off tso off gro off \
            >/dev/null 2>&1; ip link set ${end#*:} up"
    done
    # Links that go down keep their addresses; the router says when its address changes.
    lab_in edge sysctl -qw net.ipv6.conf.{all,o0,o1}.keep_addr_on_down=1 \
        net.ipv6.conf.{all,o0,o1}.ignore_routes_with_linkdown=1 net.ipv4.nexthop_compat_mode=0
    lab_in router sysctl -qw net.ipv6.conf.{all,e0,e1}.keep_addr_on_down=1 \
        net.ipv6.conf.e0.ndisc_notify=1
    lab_ip edge <<END
addr add fd00:e1::1/64 dev o1 nodad
route add fc00:a::/48 via fd00:e::2 dev o0
route add fc00:b::/48 via fd00:e1::2 dev o1
route add fc00:c::/48 via fd00:e::99 dev o0
END
    lab_ip router <<END
addr add fd00:e1::2/64 dev e1 nodad
END
}

config() {
    local site service port=90
    cat <<END
node: edge
address: fc00:e::1
run_dir: $LAB_DIR/edge
dataplane:
  ports: [c0, o0, o1]
  pins: 100k
  huge_pages: false
services:
END
    for service in moving:a staying:b nowhere:c; do
        echo "  - {name: ${service%:*}, ipv4: $LAB_IPV4, protocol: udp, port: $port, sites: [${service#*:}]}"
        port=$((port + 1))
    done
    echo "sites:"
    for site in a b c; do
        echo "  - {name: $site, sid4: \"fc00:$site:0:4::\"}"
    done
}

# of CASE FIELD
of() {
    jq -r "select(.case == \"$1\").$2" "$LAB_DIR/cases.json"
}

test_lab
second_link
config >"$LAB_DIR/edge.yaml"
lab_node_start edge
lab_cli edge show neighbours
check_equal "ways that are resolved, of three" \
    "$(lab_cli edge show neighbours --json | jq -c '[.neighbours[].resolved]')" "[true,true,false]"
check_equal "and why the third is not" \
    "$(lab_cli edge show neighbours --json | jq -r '.neighbours[2].next_hop')" \
    "o0: no answer yet from fd00:e::99"
timeout 90 /usr/bin/python3 "$LAB_TOP/tests/net/nexthop.py" "$LAB" "$(lab_pid dataplane-edge)" \
    >"$LAB_DIR/cases.json" || cat "$LAB_DIR/cases.json"
for case in neighbour-mac route nexthop-object nexthop-group link-down carrier mtu; do
    echo "   $case: $(of $case changes) changes, p50 $(of $case p50_ms) ms, max $(of $case max_ms) ms, datagrams lost on this way $(of $case moving_lost)"
    # Of two times if the first was slow; what is not told by notifications is late each time.
    check_number "$case: new way within, median" "$(of $case p50_ms)" "<" 10 ms
    check_equal "$case: lost on another way" "$(of $case staying_lost)" 0
done
check_number "link-down: a way that is known goes on until the next is, datagrams lost" \
    "$(of link-down moving_lost)" "<" 300 datagrams
echo "   unresolved: $(of unresolved flood_packets) datagrams thrown at it; $(of unresolved missed) found the port's ring full"
check_number "flood to a neighbour that does not answer: lost on another way" \
    "$(of unresolved staying_lost)" "<=" "$(of unresolved missed)" datagrams
check_number "it grew the dataplane by" "$(of unresolved memory_grown_kb)" "<" 2048 KiB
check_number "once the neighbour is there, packets to it after" "$(of unresolved resolved_ms)" "<" \
    2500 ms
total() {
    lab_cli edge show counters --json | jq ".totals.$1"
}

# A core that is too slow: none at all. What the ring has no room for is counted, and nothing else.
before=$(total rx_packets) missed=$(total rx_missed)
kill -STOP "$(lab_pid dataplane-edge)"
lab_in client /usr/bin/python3 - "$LAB_IPV4" <<'END'
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(6000):
    sender.sendto(b'x', (sys.argv[1], 91))
END
kill -CONT "$(lab_pid dataplane-edge)"
counted() {
    [ $(($(total rx_packets) - before + $(total rx_missed) - missed)) = 6000 ]
}
check "6000 datagrams to a dataplane that stands still are received or missed" \
    "$(total rx_packets) - $before received, $(total rx_missed) - $missed missed" lab_wait 3 "all counted" counted
check_number "most of them missed" "$(($(total rx_missed) - missed))" ">" 1000 packets
check_number "notifications lost on purpose" "$(of overrun notifications_lost)" ">" 0 messages
check_number "and what they told is found after" "$(of overrun took_ms)" "<" 100 ms
test_end
