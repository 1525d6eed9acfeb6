#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Malformed packets (hostile.py, at least 10,000 at the edge and at the gateway), first alone, so
# that every one can be accounted for, then beside well-formed traffic, which must lose nothing:
# HTTP no request, numbered datagrams not one (TCP would send again what was lost).

. "$(dirname "$0")/../../scripts/lab/checks.sh"

RATE=${HOSTILE_RATE:-5000}
SEED=${HOSTILE_SEED:-20261123}
DATAGRAMS=2000
LAB_MORE_SERVICES="  - name: datagrams
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: udp
    port: 82"

# counted NODE: packets that its dataplane has received
counted() {
    lab_cli "$1" show counters --json | jq .identity.received
}

has_counted() {
    [ "$(counted "$1")" -ge "$2" ]
}

# throw ROLE: the corpus of that role, to that node, from its neighbour
throw() {
    local from=client interface=e0 port=c0
    [ "$1" = edge ] || { from=delay interface=sc port=o0; }
    lab_in "$from" /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" send "$1" \
        "$LAB_DIR/$1.pcap" "$interface" \
        "$(lab_in "$1" cat "/sys/class/net/$port/address")" "$RATE"
}

verdicts() {
    lab_cli "$1" show counters --json | jq -c '.verdicts | with_entries(select(.value > 0))'
}

# accounted ROLE: alone; each packet that is for us is counted, and each count has a name
accounted() {
    local before sent ours after
    before=$(counted "$1")
    sent=$(throw "$1")
    ours=$(jq .ours <<<"$sent")
    lab_wait 5 "" has_counted "$1" $((before + ours)) || true
    after=$(counted "$1")
    echo "   $1: $(jq .sent <<<"$sent") sent, verdicts $(verdicts "$1")"
    check_equal "$1: packets for us that ended in a verdict" "$((after - before))" "$ours"
    check "$1: verdicts add up" "see show counters" lab_wait 3 "" lab_identity_holds "$1"
    check "$1: its dataplane runs" "see its log" lab_alive "dataplane-$1"
    check_number "$1: malformed packets" "$(jq .sent <<<"$sent")" ">=" 10000 packets
    check_number "$1: of them for us" "$ours" ">=" 5000 packets
}

# counter ADDRESS: at the site, and its name
counter() {
    rm -f "$LAB_DIR/count-$2.out"
    lab_start "count-$2" "$1" /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" count "$2" 82 \
        "$DATAGRAMS"
    lab_wait 5 "the counter of $2" lab_ready "count-$2"
    lab_start "stream-$2" client /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" stream "$2" 82 \
        "$DATAGRAMS" 500
}

counted_all() {
    lab_dead "count-$1"
}

# missed: packets that found a port's ring full at either node, as the host gave its core to others
missed() {
    local node sum=0
    for node in edge gate; do
        sum=$((sum + $(lab_cli "$node" show counters --json | jq .totals.rx_missed)))
    done
    echo "$sum"
}

# beside ROLE SITE: the same, while HTTP and datagrams go to that site
beside() {
    local summary pid address before
    lab_steer_to "$2"
    for address in "$LAB_IPV4" "$LAB_IPV6"; do
        counter "$2" "$address"
    done
    before=$(missed)
    throw "$1" >"$LAB_DIR/throw.json" &
    pid=$!
    summary=$(lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 200 --constant --seconds 4 --timeout 3000 | tail -n 1)
    wait "$pid"
    check_equal "HTTP through $1 to $2 beside it: failed" "$(jq .failed <<<"$summary")" 0
    for address in "$LAB_IPV4" "$LAB_IPV6"; do
        lab_wait 10 "all datagrams of $address" counted_all "$address" || true
        check_number "datagrams to $2 by $address, of $DATAGRAMS less those that found a ring full" \
            "$(tail -n 1 "$LAB_DIR/count-$address.out")" ">=" $((DATAGRAMS - ($(missed) - before))) datagrams
    done
    check_number "HTTP done" "$(jq .done <<<"$summary")" ">=" 790 requests
    check_number "its slowest" "$(jq '.max_ms // .p99_ms // 0' <<<"$summary")" "<" 1000 ms
}

test_lab
for role in edge gate; do
    /usr/bin/python3 "$LAB_TOP/tests/net/hostile.py" make "$role" "$LAB_DIR/$role.pcap" "$SEED" \
        2>/dev/null
done
LAB_MEAN_MS=2 lab_engine_up 16 16 16
lab_in client ping -q -c 1 -W 1 10.1.0.1 >/dev/null || true
accounted edge
accounted gate
beside edge a
beside gate c
for role in edge gate; do
    check "$role: its dataplane runs after all" "see its log" lab_alive "dataplane-$role"
done
test_end
