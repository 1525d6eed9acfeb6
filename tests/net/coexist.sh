#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# While the fast path runs, the kernel goes on to own what is not ours: ping and TCP to the
# edge's own addresses, and what a gateway's kernel forwards.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

ping_all() {
    lab_in "$1" ping -q -c 20 -i 0.02 -W 1 "$2" | grep -q ' 0% packet loss'
}

test_lab
lab_engine_up 16 16 16
lab_start own edge "$LAB_TOOLS/server" --site edge --port 8080
lab_wait 5 "the edge's own server" lab_ready own
lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 100 \
    --seconds 60
lab_wait 5 "requests flow" test -s "$LAB_DIR/server-a.log"

for address in 10.0.0.1 fd00::1; do
    check "ping $address, the edge's own" "packets lost" ping_all client "$address"
done
check "ping fc00:e::1, the outer source, from site a" "packets lost" ping_all a fc00:e::1
check "ping the host behind the gateway" "packets lost" ping_all client 10.3.0.2
check "ping the host behind the gateway, IPv6" "packets lost" ping_all client fc00:3::2
for address in 10.0.0.1 "[fd00::1]"; do
    lab_in client curl -s --max-time 20 -D "$LAB_DIR/header" -o "$LAB_DIR/download" \
        "http://$address:8080/download?bytes=16777216" || true
    check_equal "16 MiB by TCP from $address, the edge's own" \
        "$(b2sum -l 256 "$LAB_DIR/download" | cut -d' ' -f1)" \
        "$(tr -d '\r' <"$LAB_DIR/header" | sed -n 's/^X-Checksum: //p')"
done
check_equal "a port that no service has is refused by the edge's kernel" \
    "$(lab_in client curl -s --max-time 2 http://10.0.0.1:80/ >/dev/null; echo $?)" 7

lab_stop load
check_equal "failed requests meanwhile" "$(tail -n 1 "$LAB_DIR/load.out" | jq .failed)" 0
test_end
