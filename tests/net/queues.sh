#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# AF_XDP on interfaces with two receive queues, two workers with pins of their own: requests, uploads, and
# connections that stay at their site over a change of weights and a kill -9 of the dataplane.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

BYTES=$((8 << 20))
export LAB_WORKERS=2
LAB_ANNOUNCE='{}' # its routes drop what comes while one XDP program takes the other's place

two_queues() {
    local end
    for end in client:e0 edge:c0 edge:o0 router:e0; do
        lab_in "${end%:*}" ethtool -L "${end#*:}" rx 2 tx 2
    done
    # The client's kernel chooses the queue by a flow's hash, as a card does, and keeps to it.
    lab_in client sysctl -qw net.core.txrehash=0
}

# Of each worker, packets received
received() {
    lab_in edge curl -s http://127.0.0.1:9801/metrics |
        awk '/^suanlu_.*received_packets_total[{]/ { print $2 }'
}

requests() {
    lab_in client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" --rate 200 --constant \
        --seconds 1 --timeout 3000 | tail -n 1
}

test_lab
two_queues
cc -shared -fPIC -O2 -Wall -Werror -o "$LAB_DIR/channels.so" "$LAB_TOP/tests/net/channels.c"
head -c "$BYTES" /dev/urandom >"$LAB_DIR/upload"
sum=$(b2sum -l 256 "$LAB_DIR/upload" | cut -d' ' -f1)
lab_config_edge optimal a b
for site in a b; do
    lab_config_agent "$site" 8
    lab_server_start "$site" 8 2
    lab_agent_start "$site"
done
LD_PRELOAD=$LAB_DIR/channels.so lab_node_start edge
lab_steer_to a
lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --port "$LAB_HOLD_PORT" --connections 80 --seconds 600 --interval 100 --timeout 10000
lab_wait 10 "connections at a" lab_established a 80
check_equal "requests: failed" "$(requests | jq .failed)" 0
lab_steer_to b
for address in "$LAB_IPV4" "[$LAB_IPV6]"; do
    check_equal "8 MiB to b by $address" \
        "$(lab_in client curl -s --max-time 20 -T "$LAB_DIR/upload" "http://$address/upload")" "$sum"
done
before=$(received | sort -n | head -n 1)
check_equal "requests after a change of weights: failed" "$(requests | jq .failed)" 0
check_number "packets of them at the worker with fewer" \
    "$(($(received | sort -n | head -n 1) - before))" ">" 300 packets
lab_stop dataplane-edge KILL
LD_PRELOAD=$LAB_DIR/channels.so lab_dataplane_start edge
lab_wait 10 "routes" lab_steers edge
check_equal "requests after a kill -9: failed" "$(requests | jq .failed)" 0
lab_stop hold INT
check_equal "connections that stood all the while: opened, broken, changed site" \
    "$(tail -n 1 "$LAB_DIR/hold.out" | jq -c '[.opened, .broken, .changed]')" "[80,0,0]"
test_end
