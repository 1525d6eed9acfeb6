#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a BGP neighbour of an edge must see, whichever daemon the edge runs (scripts/lab/bgp.sh):
# the service addresses come when a site becomes usable and go when none is, when nothing
# forwards, and when control stops; they stay over a kill of control and a short restart of the
# dataplane. Control runs as an ordinary user with CAP_NET_ADMIN.

. "$(dirname "$0")/../../scripts/lab/checks.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/lab/bgp.sh"

# seen NAME BOUND_S CONDITION COMMAND...: COMMAND, then how long until the neighbour sees it
seen() {
    local name=$1 bound_s=$2 condition=$3 started ms
    shift 3
    started=$(date +%s%N)
    "$@" >/dev/null
    if lab_wait 10 "" "$condition"; then
        ms=$((($(date +%s%N) - started) / 1000000))
        check_number "$name" "$ms" "<=" "$((${bound_s/./} * 100))" ms
    else
        not_ok "$name" "not within 10 s: $(bgp_kernel_routes edge | tr '\n' ' ')"
    fi
}

# stays NAME SECONDS COMMAND...: the neighbour keeps both routes for SECONDS after COMMAND
stays() {
    local name=$1 until
    until=$(($(date +%s%N) + $2 * 1000000000))
    shift 2
    "$@" >/dev/null
    while [ "$(date +%s%N)" -lt "$until" ]; do
        bgp_learnt >/dev/null || { not_ok "$name" "the neighbour lost them"; return; }
        sleep 0.05
    done
    ok "$name"
}

changes() {
    lab_in edge curl -s http://127.0.0.1:9801/metrics | awk '/^suanlu_withdrawals_total/ { print $2 }'
}

announced_is() {
    lab_cli edge show services --json |
        jq -e --argjson yes "$1" '.services | length > 0 and all(.[]; .announced == $yes)'
}

answered() {
    lab_in client curl -sf --max-time 0.5 "http://$1/work"
}

drain_all() {
    lab_cli edge drain a
    lab_cli edge drain b
}

kill_agents() {
    lab_stop agent-a KILL
    lab_stop agent-b KILL
}

announce_edge_up() {
    local site
    lab_config_edge optimal a b
    for site in a b; do
        lab_config_agent "$site" 4
        lab_server_start "$site" 4 2
        lab_agent_start "$site"
    done
    lab_node_start edge
}

# announce_comes DAEMON: its first announcement; bgp_edge_frr or bgp_edge_bird
announce_comes() {
    LAB_USER=nobody LAB_ANNOUNCE='{table: main}'
    test_lab
    bgp_up
    bgp_neighbour_start
    "$1" edge 10.0.0.1 10.0.0.2 fd00::2
    check "the session is up" "see bgpd-client.out" lab_wait 15 "" bgp_established
    # Something of an earlier run: another table, another address.
    lab_ip edge <<END
route add blackhole 198.51.100.99/32 proto 83
route add blackhole $LAB_IPV4/32 proto 83 table 90
route add blackhole 2001:db8:99::1/128 proto 83 metric 7
END
    check "the neighbour knows no service" "it does" bgp_lost
    announce_edge_up
    check "the first announcement" "not learnt" lab_wait 10 "" bgp_learnt
    check "show services says so" "no" announced_is true
    check_equal "routes of an earlier run are gone; ours are" \
        "$(bgp_kernel_routes edge | sed 's/ *$//; s/ pref.*//' | tr '\n' ';')" \
        "blackhole $LAB_IPV4 metric 1024;blackhole $LAB_IPV6 dev lo metric 1024;"
    check_equal "control runs as nobody with CAP_NET_ADMIN alone" \
        "$(awk '/^Uid:/ { print $2 } /^Cap(Prm|Eff|Inh|Amb):/ { print $2 }' \
            "/proc/$(lab_pid control-edge)/status" | tr '\n' ' ')" \
        "65534 0000000000000000 0000000000001000 0000000000001000 0000000000000000 "
    for address in "$LAB_IPV4" "[$LAB_IPV6]"; do
        check "the neighbour's request to $address is answered" "no answer" \
            lab_wait 3 "" answered "$address"
    done
}

announce_follows_drains() {
    seen "withdrawn: all sites drained" 1.5 bgp_lost drain_all
    check "show services says so" "yes" announced_is false
    sleep 1 # the least time between two announcements
    seen "announced: a site undrained" 1.5 bgp_learnt lab_cli edge undrain a
    lab_cli edge undrain b >/dev/null
}

# What only control decides, whichever the daemon
announce_survives() {
    stays "all sites silent: the last routes and the announcement stay" 2 kill_agents
    lab_agent_start a
    lab_agent_start b

    stays "kill -9 of control: the neighbour keeps them" 1 lab_stop control-edge KILL
    check "requests are answered without control" "no answer" answered "$LAB_IPV4"
    lab_ip edge <<<"route add blackhole 198.51.100.98/32 proto 83"
    stays "control takes them over" 3 lab_control_start edge
    check "and cleans up what it does not want" "$(bgp_kernel_routes edge | tr '\n' ';')" \
        test "$(bgp_kernel_routes edge | wc -l)" = 2
    check_equal "withdrawals meanwhile" "$(changes)" 0

    lab_stop dataplane-edge KILL
    stays "a restart of the dataplane does not show" 3 lab_dataplane_start edge
    check_equal "withdrawals meanwhile" "$(changes)" 0
    seen "withdrawn: the dataplane is dead" 3.5 bgp_lost lab_stop dataplane-edge KILL
    seen "announced: it is back" 4.0 bgp_learnt lab_dataplane_start edge

    seen "withdrawn: the dataplane hangs" 5.0 bgp_lost kill -STOP "$(lab_pid dataplane-edge)"
    seen "announced: it goes on" 3.0 bgp_learnt kill -CONT "$(lab_pid dataplane-edge)"
}

announce_goes() {
    lab_ip edge <<<"route del blackhole $LAB_IPV4/32 proto 83"
    check "a route that somebody removed is put back" "it is not" lab_wait 3 "" eval \
        '[ "$(bgp_kernel_routes edge | wc -l)" = 2 ] && bgp_learnt'
    seen "withdrawn: control stops" 1.5 bgp_lost lab_stop control-edge
    check_equal "routes of ours after that" "$(bgp_kernel_routes edge)" ""
}

# announce_table LEARNT LOST: a table of their own, which the daemon has been told to read
announce_table() {
    LAB_ANNOUNCE='{table: 83}'
    lab_config_edge optimal a b
    seen "announced from a table of their own" 5.0 "$1" lab_control_start edge
    check_equal "... and no other has them" "$(
        ip -4 -n "$(lab_ns edge)" route show table 83 proto 83 | wc -l)$(
        ip -4 -n "$(lab_ns edge)" route show table main proto 83 | wc -l)" 10
    seen "... withdrawn: control stops" 1.5 "$2" lab_stop control-edge
}
