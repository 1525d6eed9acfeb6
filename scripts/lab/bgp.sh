#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Real routing daemons in the lab, sourced by tests and benchmarks after checks.sh. The edges'
# daemon (FRR or BIRD) redistributes the routes that control puts into the kernel; their
# neighbour, AS 65000, is an FRR in the client's namespace:
#
#	client e0 10.0.0.2 fd00::2 ---- 10.0.0.1 fd00::1 c0 edge     AS 65001
#	client e1 10.5.0.2 fd05::2 ---- 10.5.0.1 fd05::1 c0 edge2    AS 65001 (bgp_edge2_up)
#
# The configurations below are those of the README.
# shellcheck disable=SC2153 # LAB_* are lab.sh's

# Installs FRR and BIRD if need be, and takes away the client's static routes to services.
bgp_up() {
    "$LAB_TOP/scripts/install.sh" --peers
    chmod 711 "$LAB_DIR" # FRR runs as its own user
    lab_ip client <<END
route del $LAB_IPV4/32
route del $LAB_IPV6/128
END
    # Replies go to the address that requests came from: without static routes that is e0's.
    lab_ip router <<END
route add 10.0.0.0/24 via 10.1.0.2
route add 10.5.0.0/24 via 10.1.0.2
route add fd00::/64 via fd00:1::2
route add fd05::/64 via fd00:1::2
END
}

bgp_dir() {
    install -d -o frr -g frr -m 750 "$LAB_DIR/bgp-$1" "$LAB_DIR/bgp-$1/vty"
}

# bgp_frr_start ROLE: zebra and bgpd with the two files of $LAB_DIR/bgp-ROLE
bgp_frr_start() {
    local dir=$LAB_DIR/bgp-$1 daemon options=()
    for daemon in zebra bgpd; do
        [ "$daemon" = zebra ] || options=(-p 179)
        lab_start "$daemon-$1" "$1" "/usr/lib/frr/$daemon" -f "$dir/$daemon.conf" \
            -i "$dir/$daemon.pid" -z "$dir/zserv" --vty_socket "$dir/vty" -u frr -g frr \
            --log stdout "${options[@]}"
        lab_wait 5 "$daemon of $1" test -S "$dir/vty/$daemon.vty"
    done
}

bgp_vtysh() {
    local role=$1
    shift
    lab_in "$role" vtysh --vty_socket "$LAB_DIR/bgp-$role/vty" "$@"
}

# bgp_neighbour_start [NEIGHBOUR4 NEIGHBOUR6]...: the FRR of the client, default one edge
bgp_neighbour_start() {
    local dir=$LAB_DIR/bgp-client address
    [ $# -gt 0 ] || set -- 10.0.0.1 fd00::1
    bgp_dir client
    echo "hostname client" >"$dir/zebra.conf"
    {
        echo "router bgp 65000"
        echo " bgp router-id 10.0.0.2"
        echo " no bgp ebgp-requires-policy"
        echo " no bgp network import-check"
        echo " no bgp default ipv4-unicast"
        for address in "$@"; do
            echo " neighbor $address remote-as 65001"
            echo " neighbor $address timers 1 3"
            echo " neighbor $address timers connect 1"
        done
        echo " address-family ipv4 unicast"
        for address in "$@"; do
            [[ $address == *:* ]] || echo "  neighbor $address activate"
        done
        echo " exit-address-family"
        echo " address-family ipv6 unicast"
        for address in "$@"; do
            [[ $address != *:* ]] || echo "  neighbor $address activate"
        done
        echo " exit-address-family"
    } >"$dir/bgpd.conf"
    bgp_frr_start client
}

# bgp_edge_frr ROLE ROUTER_ID NEIGHBOUR4 NEIGHBOUR6
bgp_edge_frr() {
    local dir=$LAB_DIR/bgp-$1
    bgp_dir "$1"
    echo "hostname $1" >"$dir/zebra.conf"
    cat >"$dir/bgpd.conf" <<END
ip prefix-list services seq 5 permit $LAB_IPV4/32
ipv6 prefix-list services seq 5 permit $LAB_IPV6/128
route-map services4 permit 10
 match ip address prefix-list services
 set origin igp
 set metric 0
route-map services6 permit 10
 match ipv6 address prefix-list services
 set origin igp
 set metric 0
route-map none deny 10
router bgp 65001
 bgp router-id $2
 no bgp default ipv4-unicast
 neighbor $3 remote-as 65000
 neighbor $3 timers connect 1
 neighbor $4 remote-as 65000
 neighbor $4 timers connect 1
 address-family ipv4 unicast
  redistribute kernel route-map services4
  neighbor $3 activate
  neighbor $3 route-map services4 out
  neighbor $3 route-map none in
 exit-address-family
 address-family ipv6 unicast
  redistribute kernel route-map services6
  neighbor $4 activate
  neighbor $4 route-map services6 out
  neighbor $4 route-map none in
 exit-address-family
END
    bgp_frr_start "$1"
}

# bgp_edge_bird ROLE ROUTER_ID NEIGHBOUR4 NEIGHBOUR6
bgp_edge_bird() {
    local dir=$LAB_DIR/bgp-$1
    bgp_dir "$1"
    cat >"$dir/bird.conf" <<END
router id $2;
protocol device { }
protocol kernel kernel4 { learn; ipv4 { import filter { if krt_source = 83 then accept; reject; }; export none; }; }
protocol kernel kernel6 { learn; ipv6 { import filter { if krt_source = 83 then accept; reject; }; export none; }; }
protocol bgp upstream4 {
    local as 65001;
    neighbor $3 as 65000;
    connect retry time 1; connect delay time 1;
    ipv4 { import none; export where source = RTS_INHERIT; };
}
protocol bgp upstream6 {
    local as 65001;
    neighbor $4 as 65000;
    connect retry time 1; connect delay time 1;
    ipv6 { import none; export where source = RTS_INHERIT; };
}
END
    lab_start "bird-$1" "$1" bird -f -c "$dir/bird.conf" -s "$dir/bird.ctl" -P "$dir/bird.pid"
    lab_wait 5 "bird of $1" test -S "$dir/bird.ctl"
}

# Both sessions of the client with each edge are established.
bgp_established() {
    bgp_vtysh client -c 'show bgp summary json' | jq -e --argjson peers "${1:-1}" '
        [.ipv4Unicast, .ipv6Unicast] | all(.[]; (.peers | length == $peers) and
            all(.peers[]; .state == "Established"))'
}

# bgp_learnt [NEXT_HOPS]: the neighbour's kernel has both routes, each by so many next hops
bgp_learnt() {
    local family
    for family in -4 -6; do
        ip "$family" -n "$(lab_ns client)" -j route show proto bgp | jq -e --argjson hops "${1:-1}" \
            --arg ipv4 "$LAB_IPV4" --arg ipv6 "$LAB_IPV6" \
            '[.[] | select(.dst == $ipv4 or .dst == $ipv6) |
              (.nexthops // [.] | length)] | add == $hops' || return
    done
}

bgp_lost() {
    local family
    for family in -4 -6; do
        [ -z "$(ip "$family" -n "$(lab_ns client)" route show proto bgp)" ] || return
    done
}

# Routes of ours in any table of an edge's kernel
bgp_kernel_routes() {
    ip -4 -n "$(lab_ns "$1")" route show table all proto 83
    ip -6 -n "$(lab_ns "$1")" route show table all proto 83
}
