#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A NATS cluster in the lab, sourced by tests and benchmarks: servers n1 n2 n3 in the namespaces
# router, other and client, with JetStream. Processes are named bus-n1 ...
# shellcheck disable=SC2154 # lab.sh's

LAB_BUS_ROLES=(router other client)
LAB_BUS_ADDRESSES=(fd00:e::2 fd00:4::2 fd00:1::2)
LAB_BUS_PORT=4222

# lab_bus_urls [COUNT] [SCHEME]: of the first COUNT servers, as a YAML list
lab_bus_urls() {
    local i urls=()
    for ((i = 0; i < ${1:-3}; i++)); do
        urls+=("\"${2:-nats}://[${LAB_BUS_ADDRESSES[i]}]:$LAB_BUS_PORT\"")
    done
    (IFS=,; echo "[${urls[*]}]")
}

# lab_bus_config N COUNT: LAB_BUS_MORE is more of a server's configuration (TLS, users)
lab_bus_config() {
    local n=$1 count=$2 i
    cat <<END
server_name: n$n
listen: "[${LAB_BUS_ADDRESSES[n - 1]}]:$LAB_BUS_PORT"
http: "[${LAB_BUS_ADDRESSES[n - 1]}]:8222"
jetstream { store_dir: "$LAB_DIR/nats-n$n", max_mem: 256M, max_file: 64M }
${LAB_BUS_MORE:-}
END
    [ "$count" -gt 1 ] || return 0
    echo "cluster { name: suanlu, listen: \"[${LAB_BUS_ADDRESSES[n - 1]}]:6222\", routes: ["
    for ((i = 0; i < count; i++)); do
        echo "  \"nats://[${LAB_BUS_ADDRESSES[i]}]:6222\""
    done
    echo "] }"
}

# lab_bus_server N COUNT: starts one server of a cluster of COUNT
lab_bus_server() {
    lab_bus_config "$1" "$2" >"$LAB_DIR/nats-n$1.conf"
    lab_start "bus-n$1" "${LAB_BUS_ROLES[$1 - 1]}" nats-server -c "$LAB_DIR/nats-n$1.conf"
}

# lab_bus_answers N: its JetStream has a leader
lab_bus_answers() {
    lab_in "${LAB_BUS_ROLES[$1 - 1]}" curl -gsf \
        "http://[${LAB_BUS_ADDRESSES[$1 - 1]}]:8222/healthz" | grep -q '"ok"'
}

# lab_bus_start [COUNT]: 1 or 3 servers
lab_bus_start() {
    local count=${1:-3} n
    for ((n = 1; n <= count; n++)); do
        lab_bus_server "$n" "$count"
    done
    for ((n = 1; n <= count; n++)); do
        lab_wait 20 "NATS server n$n" lab_bus_answers "$n" || {
            tail -n 5 "$LAB_DIR/bus-n$n.err" >&2
            return 1
        }
    done
}

# lab_bus_is NODE true|false: whether its control is connected
lab_bus_is() {
    [ "$(lab_cli "$1" show status --json | jq .bus.connected)" = "$2" ]
}
