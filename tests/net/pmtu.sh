#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Path MTU without help: an overlay of 1,500 bytes under clients that send 1,500, a narrower link
# inside of it, a link of 1,300 on the way back, ping and the last hop at the service addresses, and
# datagrams in fragments.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

BYTES=$((16 << 20))
PORT=82
LAB_MORE_SERVICES="  - name: datagrams
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: udp
    port: $PORT"

helper() {
    local role=$1
    shift
    lab_in "$role" /usr/bin/python3 "$LAB_TOP/tests/net/pmtu.py" "$@" 2>>"$LAB_DIR/helper.err"
}

verdict() {
    lab_cli edge show counters --json | jq ".verdicts[\"$1\"]"
}

# grew VERDICT BEFORE WHEN
grew() {
    check_number "the edge counts $1 $3" "$(($(verdict "$1") - $2))" ">" 0 packets
}

# What hosts have learnt would hide what is said.
forget() {
    local role
    for role in client a c; do
        ip -n "$(lab_ns "$role")" route flush cache
        ip -n "$(lab_ns "$role")" -6 route flush cache
    done
}

# upload SITE ADDRESS WHERE
upload() {
    local sum before
    forget
    before=$(verdict too-big)
    sum=$(lab_in client curl -s --max-time 20 -T "$LAB_DIR/upload" "http://$2/upload") ||
        sum="curl: $?"
    check_equal "16 MiB upload to $1 by $2, $3" "$sum" \
        "$(b2sum -l 256 "$LAB_DIR/upload" | cut -d' ' -f1)"
    grew too-big "$before" "by $2"
}

# download SITE ADDRESS: the router's error about the reply comes to the edge
download() {
    forget
    lab_in client curl -s --max-time 20 -o "$LAB_DIR/download" \
        "http://$2/download?bytes=$BYTES" || true
    check_equal "16 MiB download from $1 by $2, link of 1,300 bytes on the way back" \
        "$(stat -c %s "$LAB_DIR/download" 2>/dev/null)" "$BYTES"
    rm -f "$LAB_DIR/download"
}

# fragments SITE ADDRESS SOURCE
fragments() {
    # net_af_packet's kernel side puts IPv4 fragments together, then they fit no frame of its.
    [[ ${LAB_PORT:-af_xdp} != af_packet || $2 == *:* ]] || return 0
    forget
    check_equal "20 datagrams of 4,000 bytes to $1 by $2" \
        "$(helper client datagrams "$2" "$PORT" 4000)" 20
    check_equal "20 to $1 by $2, last fragment first" \
        "$(helper client reversed "$2" "$PORT" 4000 e0 "$edge_mac" "$3")" 20
}

# site_errors SITE: destination unreachable and too big that its kernel has taken in
site_errors() {
    lab_in "$1" cat /proc/net/snmp /proc/net/snmp6 |
        awk '/^Icmp: [0-9]/ { n += $5 } /^Icmp6InPktTooBigs/ { n += $2 } END { print n }'
}

# way_mtu SID
way_mtu() {
    lab_cli edge show neighbours --json |
        jq --arg sid "$1" '[.neighbours[] | select(.way | contains($sid)).mtu_bytes] | unique[]'
}

# narrow SITE SID4 SID6: a router inside of the overlay says that our packets are too big
narrow() {
    ip -n "$(lab_ns router)" link set "r$1" mtu 1400
    lab_steer_to "$1"
    upload "$1" "$LAB_IPV4" "1,400 bytes inside of the overlay"
    upload "$1" "[$LAB_IPV6]" "1,400 bytes inside of the overlay"
    check_equal "the edge knows the path MTU to $1" "$(way_mtu "$2") $(way_mtu "$3")" "1400 1400"
    ip -n "$(lab_ns router)" link set "r$1" mtu 1600
}

# forged SID SERVICE SOURCE: the same message from who has not seen the packet; it knows all else
forged() {
    local taken
    taken=$(site_errors edge)
    lab_in router /usr/bin/python3 "$LAB_TOP/tests/net/pmtu.py" forged "$1" "$2" "$3" e0 \
        "$(lab_in edge cat /sys/class/net/o0/address)" 50
    lab_wait 3 "errors at the edge's kernel" test_errors edge $((taken + 50))
    check_equal "50 forged messages about the way to $1 change nothing" "$(way_mtu "$1")" 1500
}

test_errors() {
    [ "$(site_errors "$1")" -ge "$2" ]
}

# missed: packets that found the edge's ring full, as the host gave its core to others
missed() {
    lab_cli edge show counters --json | jq .totals.rx_missed
}

# relay ADDRESS SOURCE: errors about flows without a pin go to every site of the service
relay() {
    local relayed limited missed sites
    relayed=$(verdict icmp-relayed)
    limited=$(verdict rate-limited)
    missed=$(missed)
    sites=$(($(site_errors a) + $(site_errors b)))
    helper client errors "$1" "$PORT" e0 "$edge_mac" "$2" 100
    lab_wait 3 "" test_counted $((relayed + limited + missed + 100)) || true
    relayed=$(($(verdict icmp-relayed) - relayed))
    check_number "errors about unknown flows of $1, relayed" "$relayed" ">=" 10 packets
    check_number "of 100, the others are too many" "$relayed" "<" 60 packets
    check_equal "and counted, or found the ring full" \
        "$((relayed + $(verdict rate-limited) - limited + $(missed) - missed))" 100
    check_equal "two sites had each of them" \
        "$(($(site_errors a) + $(site_errors b) - sites))" "$((2 * relayed))"
}

lab_two() {
    lab_cli edge show routes --json | jq -e '.routes | map(select(.service == "datagrams")) |
        all(.[]; (.weight > 0) == (.site != "c"))' && lab_steers edge
}

test_counted() {
    [ $(($(verdict icmp-relayed) + $(verdict rate-limited) + $(missed))) -ge "$1" ]
}

test_lab
ip -n "$(lab_ns edge)" link set o0 mtu 1500
ip -n "$(lab_ns router)" link set e0 mtu 1500
LAB_MEAN_MS=2 lab_engine_up 16 16 16
head -c "$BYTES" /dev/urandom >"$LAB_DIR/upload"
edge_mac=$(lab_in edge cat /sys/class/net/c0/address)
for site in a c; do
    lab_start "datagrams-$site" "$site" /usr/bin/python3 "$LAB_TOP/tests/net/pmtu.py" serve \
        "$PORT" "$LAB_IPV4" "$LAB_IPV6"
    lab_wait 5 "datagrams at $site" lab_ready "datagrams-$site"
done

for address in "$LAB_IPV4" "$LAB_IPV6"; do
    check "ping $address" "see ping" lab_in client ping -q -c 5 -i 0.05 -W 1 "$address"
    check "ping $address with 1,400 bytes" "see ping" \
        lab_in client ping -q -c 2 -i 0.05 -W 1 -s 1400 "$address"
done
check_equal "the edge answered the pings" "$(verdict icmp-answered)" 14

for site in a c; do
    lab_steer_to "$site"
    upload "$site" "$LAB_IPV4" "overlay of 1,500 bytes"
    upload "$site" "[$LAB_IPV6]" "overlay of 1,500 bytes"
    fragments "$site" "$LAB_IPV4" 10.1.0.2
    fragments "$site" "$LAB_IPV6" fd00:1::2
done
check_equal "Time Exceeded by IPv4" "$(helper client hop "$LAB_IPV4" "$PORT")" "2 11"
check_equal "Time Exceeded by IPv6" "$(helper client hop "$LAB_IPV6" "$PORT")" "3 3"

for sid in fc00:a:0:4:: fc00:b:0:4:: fc00:b:0:6::; do
    check_equal "path MTU to $sid before" "$(way_mtu "$sid")" 1500
done
narrow a fc00:a:0:4:: fc00:a:0:6::
narrow c fc00:c:0:46::1 fc00:c:0:46::1
forged fc00:b:0:4:: "$LAB_IPV4" 10.1.0.2
forged fc00:b:0:6:: "$LAB_IPV6" fd00:1::2

# What the router says to a service address comes to the edge, by either family.
ip -n "$(lab_ns router)" link set c0 mtu 1300
ip -n "$(lab_ns router)" route replace "$LAB_IPV4/32" via inet6 fd00:e::1 dev e0
ip -n "$(lab_ns router)" route replace "$LAB_IPV6/128" via fd00:e::1 dev e0
for site in a c; do
    lab_steer_to "$site"
    download "$site" "$LAB_IPV4"
    download "$site" "[$LAB_IPV6]"
done
check_equal "errors about flows with a pin went to one site each" "$(verdict icmp-relayed)" 0

lab_cli edge undrain a >/dev/null
lab_cli edge undrain b >/dev/null
lab_cli edge drain c >/dev/null
lab_wait 5 "weight at a and b" lab_two
relay "$LAB_IPV4" 10.1.0.2
relay "$LAB_IPV6" fd00:1::2
test_end
