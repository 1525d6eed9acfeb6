#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The engine in the lab: configurations, servers, agents and nodes. Sourced by lab.sh, whose
# top draws where everything is.
#
# Nodes: edge (steers) and gate (the gateway of site c). Each has a configuration
# $LAB_DIR/NODE.yaml and a run directory $LAB_DIR/NODE; processes are named dataplane-NODE,
# control-NODE, server-SITE, agent-SITE, reflector-SITE. LAB_MORE_SERVICES: YAML of services beside
# infer and stream. LAB_PROBES: YAML of how paths are measured; unset: delays are configured.
# LAB_TRANSITS: YAML of transit nodes.
# LAB_BUS: the value of `bus`, in place of UDP.
# LAB_REPORT_PORT: where agents send by UDP, if not where control listens.
# shellcheck disable=SC2153 # LAB_* are lab.sh's

lab_key() {
    if [ ! -e "$LAB_DIR/$1.key" ]; then
        "$LAB_BUILD/control/cli/suanlu" keygen "$LAB_DIR/$1.key" \
            >"$LAB_DIR/$1.public" 2>"$LAB_DIR/keygen.log"
    fi
}

lab_public() {
    tr -d '[:space:]' <"$LAB_DIR/$1.public"
}

# lab_way SITE NUMBER SRV6_KEYS: how the edge reaches a site, by LAB_UNDERLAY (srv6 or vxlan)
lab_way() {
    if [ "${LAB_UNDERLAY:-srv6}" = vxlan ]; then
        echo "    vxlan: 10.2.$2.2"
        echo "    vni: 7"
    else
        printf '    %s\n' "${@:3}"
    fi
}

# lab_config_edge [STEERING] [SITE...]: $LAB_DIR/edge.yaml; services go to SITEs (default all)
lab_config_edge() {
    local steering=${1:-optimal} name
    shift || true
    for name in edge "${LAB_SITES[@]}"; do
        lab_key "$name"
    done
    local sites
    sites=$(IFS=,; echo "${*:-${LAB_SITES[*]}}" | tr ' ' ',')
    cat >"$LAB_DIR/edge.yaml" <<END
node: edge
address: [fc00:e::1, 10.6.0.1]
key: $LAB_DIR/edge.key
run_dir: $LAB_DIR/edge
steering: $steering
dataplane:
  ports: $(lab_ports c0 o0)
${LAB_WORKERS:+  cores: [$(seq -s, 0 $((LAB_WORKERS - 1)))]}
  pins: 100k
  huge_pages: ${LAB_HUGE_PAGES:-false}
${LAB_BUS:+bus: $LAB_BUS}
$([ -n "${LAB_BUS:-}" ] || printf 'telemetry:\n  listen: "[fc00:e::1]:7801"')
metrics:
  listen: "127.0.0.1:9801"
${LAB_USER:+user: $LAB_USER}
${LAB_ANNOUNCE:+announce: $LAB_ANNOUNCE}
${LAB_PROBES:+probes: $LAB_PROBES}
${LAB_TRANSITS:+transits: $LAB_TRANSITS}
services:
  - name: infer
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: 80
    sites: [$sites]
  - name: stream
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: $LAB_HOLD_PORT
    sites: [$sites]
${LAB_MORE_SERVICES:-}
sites:
  - name: a
    key: $(lab_public a)
    ${LAB_PROBES:+reflector: fc00:a::1}
$(lab_way a 1 'sid4: "fc00:a:0:4::"' 'sid6: "fc00:a:0:6::"')
    ${LAB_PROBES:+# measured, not }delay_ms: ${LAB_DELAYS_MS[0]}
    servers: 256
  - name: b
    key: $(lab_public b)
    ${LAB_PROBES:+reflector: fc00:b::1}
$(lab_way b 2 'sid4: "fc00:b:0:4::"' 'sid6: "fc00:b:0:6::"')
    ${LAB_PROBES:+# measured, not }delay_ms: ${LAB_DELAYS_MS[1]}
    servers: 256
  - name: c
    key: $(lab_public c)
    ${LAB_PROBES:+reflector: fc00:c::1}
$(lab_way c 3 'sid: "fc00:c:0:46::1"')
    ${LAB_PROBES:+# measured, not }delay_ms: ${LAB_DELAYS_MS[2]}
    servers: 256
END
}

# The gateway of site c: one instance behind it, which it need not choose by load.
lab_config_gateway() {
    cat >"$LAB_DIR/gate.yaml" <<END
node: gate
address: [fc00:c::1, 10.2.3.2]
run_dir: $LAB_DIR/gate
dataplane:
  ports: $(lab_ports o0 i0)
${LAB_WORKERS:+  cores: [$(seq -s, 0 $((LAB_WORKERS - 1)))]}
  pins: 100k
  huge_pages: ${LAB_HUGE_PAGES:-false}
  sids: ["fc00:c:0:46::/64"]
  vnis: [7]
metrics:
  listen: "127.0.0.1:9801"
${LAB_PROBES:+probes: $LAB_PROBES}
services:
  - name: infer
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: 80
  - name: stream
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: $LAB_HOLD_PORT
${LAB_MORE_SERVICES:-}
sites:
  - name: host
    deliver4: 10.3.0.2
    deliver6: fc00:3::2
END
}

# A second host behind the gateway of site c, on a link of its own: role d, which has to be among
# LAB_ROLES before lab_up.
lab_instance_up() {
    lab_link gate i1 d g0 1500
    local role
    for role in gate d; do
        # shellcheck disable=SC2016 # expanded by the inner shell
        lab_in "$role" sh -c 'for i in i1 g0; do
            [ -e /sys/class/net/$i ] || continue
            ethtool -K $i tx off rx off gso off tso off gro off >/dev/null 2>&1
            ip link set $i up
        done; ip link set lo up'
    done
    lab_ip gate <<END
addr add 10.5.0.1/24 dev i1
addr add fc00:5::1/64 dev i1 nodad
END
    lab_ip d <<END
addr add 10.5.0.2/24 dev g0
addr add fc00:5::2/64 dev g0 nodad
addr add $LAB_IPV4/32 dev lo
addr add $LAB_IPV6/128 dev lo nodad
route add default via 10.5.0.1
route add default via fc00:5::1
END
}

# The gateway of site c as one that balances among c and d by their reports and answers to
# the edge for both, with the site's key; theirs are c1 and c2. With LAB_BUS on that.
lab_config_site() {
    local name
    for name in edge c c1 c2; do
        lab_key "$name"
    done
    cat >"$LAB_DIR/gate.yaml" <<END
node: gate
key: $LAB_DIR/c.key
run_dir: $LAB_DIR/gate
dataplane:
  ports: [o0, i0, i1]
  pins: 100k
  huge_pages: ${LAB_HUGE_PAGES:-false}
  sids: ["fc00:c:0:46::/64"]
telemetry:
  listen: "[fc00:c::1]:7801"
${LAB_BUS:+bus: $LAB_BUS
site: c}
$([ -n "${LAB_BUS:-}" ] || printf 'publish:\n  to: "[fc00:e::1]:7801"\n  key: %s' "$(lab_public edge)")
metrics:
  listen: "127.0.0.1:9801"
services:
  - name: infer
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: tcp
    port: 80
sites:
  - name: c1
    key: $(lab_public c1)
    deliver4: 10.3.0.2
    deliver6: fc00:3::2
    servers: 64
  - name: c2
    key: $(lab_public c2)
    deliver4: 10.5.0.2
    deliver6: fc00:5::2
    servers: 64
END
}

# lab_config_instance ROLE KEY SERVERS: an agent that publishes to the gateway, with LAB_BUS on that
lab_config_instance() {
    cat >"$LAB_DIR/agent-$1.yaml" <<END
key: $LAB_DIR/$2.key
labels: [ai, $2]
${LAB_BUS:+bus: $LAB_BUS
site: $2}
$([ -n "${LAB_BUS:-}" ] || echo "publish: {to: \"[fc00:c::1]:7801\", key: $(lab_public c)}")
services: {name: infer, port: 80, servers: $3}
END
}

# lab_config_agent SITE SERVERS
lab_config_agent() {
    lab_key edge
    lab_key "$1"
    cat >"$LAB_DIR/agent-$1.yaml" <<END
key: $LAB_DIR/$1.key
${LAB_BUS:+bus: $LAB_BUS
site: $1}
$([ -n "${LAB_BUS:-}" ] || printf 'publish:\n  - to: "[fc00:e::1]:%s"\n    key: %s' \
    "${LAB_REPORT_PORT:-7801}" "$(lab_public edge)")
services:
  - name: infer
    protocol: tcp
    port: 80
    servers: $2
  - name: stream
    protocol: tcp
    port: $LAB_HOLD_PORT
    servers: 256
END
}

# lab_server_start SITE WORKERS MEAN_MS [OPTION...]
lab_server_start() {
    local site=$1 workers=$2 mean_ms=$3
    shift 3
    rm -f "$LAB_DIR/server-$site.out"
    lab_start "server-$site" "$site" "$LAB_TOOLS/server" --site "$site" --workers "$workers" \
        --mean "$mean_ms" --hold-port "$LAB_HOLD_PORT" --log "$LAB_DIR/server-$site.log" "$@"
    lab_wait 5 "server of site $site ready" lab_ready "server-$site"
}

lab_agent_start() {
    lab_start "agent-$1" "$1" "$LAB_BUILD/control/agent/suanlu-agent" -c "$LAB_DIR/agent-$1.yaml"
}

# STAMP at a site whose kernel decapsulates
lab_reflector_start() {
    lab_start "reflector-$1" "$1" "$LAB_BUILD/control/cli/suanlu" reflect ${2:+--key "$2"}
}

lab_dataplane_start() {
    lab_start "dataplane-$1" "$1" "$LAB_BUILD/dataplane/suanlu-dataplane" -c "$LAB_DIR/$1.yaml"
}

lab_control_start() {
    lab_start "control-$1" "$1" "$LAB_BUILD/control/suanlu-control" -c "$LAB_DIR/$1.yaml"
}

# lab_cli NODE SUBCOMMAND...: the CLI of edge or gate
lab_cli() {
    local node=$1
    shift
    "$LAB_BUILD/control/cli/suanlu" --run-dir "$LAB_DIR/$node" "$@"
}

# Its routes have reached the workers of its dataplane.
lab_steers() {
    lab_cli "$1" show services --json | jq -e '.services |
        length > 0 and all(.[]; .generation > 0 and .acknowledged == .generation)'
}

lab_node_start() {
    lab_dataplane_start "$1"
    lab_control_start "$1"
    lab_wait 15 "routes in the dataplane of $1" lab_steers "$1" || {
        tail -n 5 "$LAB_DIR/dataplane-$1.err" "$LAB_DIR/control-$1.err" >&2
        return 1
    }
}

# lab_site_state SITE: never, fresh or silent
lab_site_state() {
    lab_cli edge show sites --json |
        jq -r --arg site "$1" '.sites[] | select(.name == $site).state'
}

lab_site_is() {
    [ "$(lab_site_state "$1")" = "$2" ]
}

# Gateway, edge, and at each site a server and its agent. Counts of servers: lab_engine_up A B C
lab_engine_up() {
    local servers=("$@") i
    if [ -n "${LAB_PROBES:-}" ]; then
        lab_alive reflector-a || lab_reflector_start a
        lab_alive reflector-b || lab_reflector_start b
    fi
    lab_config_edge "${LAB_STEERING:-optimal}"
    lab_config_gateway
    for i in 0 1 2; do
        lab_config_agent "${LAB_SITES[i]}" "${servers[i]}"
        lab_server_start "${LAB_SITES[i]}" "${servers[i]}" "${LAB_MEAN_MS:-30}" --seed "$i"
    done
    lab_node_start gate
    lab_node_start edge
    for i in 0 1 2; do
        lab_agent_start "${LAB_SITES[i]}"
    done
    for i in 0 1 2; do
        lab_wait 5 "reports of site ${LAB_SITES[i]}" lab_site_is "${LAB_SITES[i]}" fresh
    done
}

# Sum of verdicts == packets received, on a node whose traffic has stopped.
lab_identity_holds() {
    lab_cli "$1" show counters --json | jq -e '
        .identity.received == ([.verdicts[]] | add)'
}

# lab_weight_is SITE WEIGHT: of every service, as control publishes it (0..1)
lab_weight_is() {
    lab_cli edge show routes --json | jq -e --arg site "$1" --argjson weight "$2" \
        '[.routes[] | select(.site == $site).weight] | length > 0 and all(. == $weight)'
}

# lab_only SITE: no other site takes new flows, and the dataplane knows
lab_only() {
    lab_cli edge show routes --json | jq -e --arg site "$1" \
        '.routes | length > 0 and all(.[]; (.weight > 0) == (.site == $site))' &&
        lab_steers edge
}

# CPU time that a process has used, all threads, in ms (schedstat counts ns, stat only ticks)
lab_cpu_ms() {
    cat /proc/"$(lab_pid "$1")"/task/*/schedstat | awk '{ ns += $1 } END { print int(ns / 1e6) }'
}

# lab_memory_kb NAME Rss:|Pss:
lab_memory_kb() {
    awk -v what="$2" '$1 == what { print $2 }' "/proc/$(lab_pid "$1")/smaps_rollup"
}

# lab_established SITE N: at least N long-lived connections stand at that site
lab_established() {
    [ "$(lab_in "$1" ss -Htn state established "sport = :$LAB_HOLD_PORT" | wc -l)" -ge "$2" ]
}

# lab_steer_to SITE: drains the others and waits until the dataplane has that
lab_steer_to() {
    local site
    lab_cli edge undrain "$1" >/dev/null
    for site in "${LAB_SITES[@]}"; do
        [ "$site" = "$1" ] || lab_cli edge drain "$site" >/dev/null
    done
    lab_wait 5 "all weight at $1" lab_only "$1"
}
