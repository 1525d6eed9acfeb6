#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# An IPv4 underlay: VXLAN to a site whose kernel is the receiver (a) and to our gateway (c), both
# families of inner traffic; packets judged by scapy, path MTU, a kernel that sends to our gateway,
# and VNIs that are not ours, which stay the kernel's.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

BYTES=$((8 << 20))
LAB_UNDERLAY=vxlan

verdict() {
    lab_cli "$1" show counters --json | jq ".verdicts[\"$2\"]"
}

# upload ROLE SITE ADDRESS NAME
upload() {
    check_equal "8 MiB by $3 to $2, $4" \
        "$(lab_in "$1" curl -s --max-time 20 -T "$LAB_DIR/upload" "http://$3/upload")" "$sum"
}

# The host "elsewhere" has a VXLAN device: its kernel sends to our gateway, which must be told
# the gateway's MAC, as nobody answers ARP in there.
kernel_sender() {
    lab_ip other <<END
link add vx7 type vxlan id 7 dstport 4789 local 10.4.0.2 remote 10.2.3.2
link set vx7 up
neigh add 172.31.0.1 lladdr 02:73:0a:02:03:02 dev vx7 nud permanent
neigh add fd31::1 lladdr 02:73:0a:02:03:02 dev vx7 nud permanent
route add $LAB_IPV4/32 via 172.31.0.1 dev vx7 onlink src 10.4.0.2
route add $LAB_IPV6/128 via fd31::1 dev vx7 onlink src fd00:4::2
link add vx9 type vxlan id 9 dstport 4789 local 10.4.0.2 remote 10.2.3.2
link set vx9 up
addr add 172.31.9.2/24 dev vx9
END
    lab_ip gate <<END
link add vx9 type vxlan id 9 dstport 4789 local 10.2.3.2 remote 10.4.0.2
link set vx9 up
addr add 172.31.9.1/24 dev vx9
END
}

test_lab
head -c "$BYTES" /dev/urandom >"$LAB_DIR/upload"
sum=$(b2sum -l 256 "$LAB_DIR/upload" | cut -d' ' -f1)
LAB_MEAN_MS=2 lab_engine_up 16 16 16
lab_start capture router tcpdump -U -i e0 -w "$LAB_DIR/capture.pcap" 'udp dst port 4789'
lab_wait 5 "tcpdump listens" grep -q "listening on" "$LAB_DIR/capture.err"
summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 60 \
    --constant --seconds 1 --timeout 3000 | tail -n 1)
lab_stop capture INT
check_equal "requests to all sites: failed" "$(jq .failed <<<"$summary")" 0
result=$(/usr/bin/python3 "$LAB_TOP/tests/net/dissect.py" "$LAB_DIR/capture.pcap")
check_equal "scapy finds no fault" "$(jq -c .faults <<<"$result")" "[]"
check_equal "both inner families" "$(jq '.inner4 > 50 and .inner6 > 50' <<<"$result")" true
check_number "UDP source ports of $(jq .flows <<<"$result") flows" "$(jq .labels <<<"$result")" \
    ">=" 40 ports

for width in 1600 1500; do
    ip -n "$(lab_ns edge)" link set o0 mtu "$width"
    ip -n "$(lab_ns router)" link set e0 mtu "$width"
    before=$(verdict edge too-big)
    for site in a c; do
        lab_steer_to "$site"
        upload client "$site" "$LAB_IPV4" "overlay of $width bytes"
        upload client "$site" "[$LAB_IPV6]" "overlay of $width bytes"
    done
    [ "$width" = 1600 ] || check_number "answers that say what fits" \
        "$(($(verdict edge too-big) - before))" ">=" 4 packets
done

# A router inside of the overlay says "fragmentation needed" to our outer address.
ip -n "$(lab_ns router)" link set ra mtu 1400
lab_steer_to a
upload client a "$LAB_IPV4" "1,400 bytes inside of the overlay"
upload client a "[$LAB_IPV6]" "1,400 bytes inside of the overlay"
check_equal "the edge knows the path MTU to a" "$(lab_cli edge show neighbours --json |
    jq -c '[.neighbours[] | select(.way | contains("10.2.1.2")).mtu_bytes] | unique')" "[1400]"
ip -n "$(lab_ns router)" link set ra mtu 1600
lab_steer_to c

kernel_sender
before=$(verdict gate delivered)
upload other c "$LAB_IPV4" "sent by a kernel"
upload other c "[$LAB_IPV6]" "sent by a kernel"
check_number "they came by our gateway" "$(($(verdict gate delivered) - before))" ">" 1000 packets
check "ping in another VNI at the same address, between kernels" "see ping" \
    lab_in other ping -q -c 3 -i 0.05 -W 1 172.31.9.1
before=$(verdict gate not-local)
ip -n "$(lab_ns other)" neigh replace 172.31.0.1 lladdr 02:73:0a:02:03:03 dev vx7 nud permanent
lab_in other ping -q -c 5 -i 0.02 -W 0.2 "$LAB_IPV4" >/dev/null || true
check_number "frames for another MAC, refused" "$(($(verdict gate not-local) - before))" ">=" 5 \
    packets
test_end
