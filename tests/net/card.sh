#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Ports whose driver owns the card (net_af_packet in a card's place), two workers on two queues: all
# that is not ours goes by a tap to the kernel and back; HTTP, pins over weight changes and a
# kill -9 of the dataplane, client affinity over workers, an MTU and a flood of what is not ours.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

BYTES=$((8 << 20))
export LAB_PORT=af_packet LAB_WORKERS=2
LAB_MORE_SERVICES="  - name: sticky
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: 83
    affinity: client"

verdict() {
    lab_cli edge show counters --json | jq ".verdicts[\"$1\"]"
}

# Of each worker of the edge, packets received
received() {
    lab_in edge curl -s http://127.0.0.1:9801/metrics |
        awk '/^suanlu_.*received_packets_total[{]/ { print $2 }'
}

sticky_at() {
    lab_cli edge show counters --json |
        jq "[.members[] | select(.service == \"sticky\" and .site == \"$1\").packets] | add // 0"
}

# Two of three new clients go to a or b now.
elsewhere() {
    lab_cli edge show routes --json | jq -e '.routes |
        map(select(.service == "sticky" and .site == "c").weight) | add < 0.4' && lab_steers edge
}

# connect_all N: from 20 client addresses N connections each, that the site refuses
connect_all() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    lab_in client bash -c 'for n in $(seq 100 119); do
        curl -s --max-time 5 --interface "10.1.0.$n" "http://$0:83/[1-$1]" &
    done; wait' "$LAB_IPV4" "$1"
}

answered() {
    lab_in client curl -sf --max-time 0.5 "http://$LAB_IPV4/work"
}

test_lab
head -c "$BYTES" /dev/urandom >"$LAB_DIR/upload"
sum=$(b2sum -l 256 "$LAB_DIR/upload" | cut -d' ' -f1)
LAB_MEAN_MS=2 lab_engine_up 32 32 32
grep -h "2 queues" "$LAB_DIR/dataplane-edge.err" | sed 's/^/   /'
check_equal "the taps have the cards' addresses" \
    "$(lab_in edge cat /sys/class/net/{c0,o0}/address | tr '\n' ' ')" \
    "$(lab_in edge cat /sys/class/net/{nc0,no0}/address | tr '\n' ' ')"

# not ours: the kernel's, by the tap
lab_start own edge "$LAB_TOOLS/server" --site edge --port 8080
lab_wait 5 "the edge's own server" lab_ready own
for address in 10.0.0.1 fd00::1; do
    check "ping $address, the edge's own" "packets lost" eval \
        'lab_in client ping -q -c 20 -i 0.02 -W 5 "$address" | grep " 0% packet loss"'
done
check "ping the host behind the gateway" "see ping" lab_in client ping -q -c 5 -i 0.02 -W 1 10.3.0.2
for address in 10.0.0.1 "[fd00::1]"; do
    check_equal "8 MiB by TCP to the edge's own $address" \
        "$(lab_in client curl -s --max-time 20 -T "$LAB_DIR/upload" "http://$address:8080/upload")" "$sum"
done
check_number "packets that the edge's cards gave to its kernel" "$(verdict to-kernel)" ">" 5000 packets

# ours
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections 80 --seconds 600 --interval 200 --timeout 10000
for site in a c; do
    lab_steer_to "$site"
    for address in "$LAB_IPV4" "[$LAB_IPV6]"; do
        check_equal "8 MiB to $site by $address" \
            "$(lab_in client curl -s --max-time 20 -T "$LAB_DIR/upload" "http://$address/upload")" "$sum"
    done
done

# Client affinity: clients are pinned to c by whichever worker had them first; connections that
# the other worker gets afterwards go there too, though new clients would go elsewhere now.
for n in $(seq 100 119); do
    echo "addr add 10.1.0.$n/24 dev r0"
done | lab_ip client
lab_steer_to c
connect_all 1
lab_cli edge undrain a >/dev/null
lab_cli edge undrain b >/dev/null
lab_wait 5 "weight at a and b" elsewhere
before=$(sticky_at c)
connect_all 6
check_equal "connections of clients of c that went to a or b" \
    "$(($(sticky_at a) + $(sticky_at b)))" 0
check_number "packets of them to c" "$(($(sticky_at c) - before))" ">=" 120 packets
check_number "packets at the worker with fewer" "$(received | sort -n | head -1)" ">" 1000 packets

# A flood of what is not ours costs the others nothing.
lab_start flood client timeout 9 ping -q -f -s 64 10.0.0.1
summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 100 \
    --constant --seconds 1 --timeout 3000 | tail -n 1)
check_equal "requests beside a flood to the kernel: failed" "$(jq .failed <<<"$summary")" 0
lab_stop flood INT

lab_stop dataplane-edge KILL
started=$(date +%s%N)
check "without a dataplane the tap stays, with its address" "see ip addr" eval \
    'ip -n "$(lab_ns edge)" addr show c0 | grep 10.0.0.1/24'
lab_dataplane_start edge
check "the dataplane starts again" "see its log" lab_wait 10 "a request is answered" answered
echo "   the first request was answered after $((($(date +%s%N) - started) / 1000000)) ms"
lab_wait 5 "routes" lab_steers edge
lab_stop hold INT
check_equal "connections that stood all the while: opened, broken, changed site" \
    "$(tail -n 1 "$LAB_DIR/hold.out" | jq -c '[.opened, .broken, .changed]')" "[80,0,0]"

# The tap's MTU is the card's.
ip -n "$(lab_ns edge)" link set o0 mtu 1400
check "the card follows the tap's MTU" "$(lab_in edge cat /sys/class/net/no0/mtu)" lab_wait 2 "" eval \
    '[ "$(lab_in edge cat /sys/class/net/no0/mtu)" = 1400 ]'
test_end
