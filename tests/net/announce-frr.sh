#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Real FRR on the edge redistributes the service addresses that control puts into the kernel, whatever
# happens to control and the dataplane; from the main table and, IPv4, from one of their own.

# shellcheck source=tests/net/announce/cases.sh
. "$(dirname "$0")/announce/cases.sh"

learnt4() {
    ip -4 -n "$(lab_ns client)" -j route show proto bgp | jq -e --arg ipv4 "$LAB_IPV4" \
        'any(.[]; .dst == $ipv4)'
}

lost4() {
    ! learnt4
}

announce_comes bgp_edge_frr
announce_follows_drains
announce_survives
announce_goes
bgp_vtysh edge -c 'configure terminal' -c 'ip import-table 83' >>"$LAB_DIR/vtysh.out"
bgp_vtysh edge -c 'configure terminal' -c 'router bgp 65001' -c 'address-family ipv4 unicast' \
    -c 'no redistribute kernel' -c 'redistribute table 83 route-map services4' >>"$LAB_DIR/vtysh.out"
announce_table learnt4 lost4
test_end
