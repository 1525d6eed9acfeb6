#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A transit node in the lab, sourced after checks.sh and before test_lab. Straight to site b is slower
# than over the transit node:
#
#	edge ---- router ---- 8 ms ---- b r0
#	             rt                 r1
#	              `-- 1 ms -- o0 transit o1 -- 1 ms
#
#	transit fd00:f::2 on o0, fc00:f::1 on lo; SID fc00:f:0:e::1 (End), by its kernel or by ours
#
# Answers of b come back straight, so they do not pass the transit node.
# shellcheck disable=SC2153 # LAB_* are lab.sh's

LAB_ROLES+=(transit)

triangle_up() {
    lab_link router rt delay rt 1600
    lab_link delay st transit o0 1600
    lab_link transit o1 delay tb 1600
    lab_link delay ub b r1 1600
    local end
    for end in router:rt delay:rt delay:st transit:o0 transit:o1 delay:tb delay:ub b:r1; do
        lab_in "${end%:*}" ethtool -K "${end#*:}" tx off rx off gso off tso off gro off >/dev/null 2>&1
        ip -n "$(lab_ns "${end%:*}")" link set "${end#*:}" up
    done
    lab_ip router <<END
addr add fd00:f::1/64 dev rt nodad
route add fc00:f::/48 via fd00:f::2
END
    lab_ip transit <<END
addr add fd00:f::2/64 dev o0 nodad
addr add fd00:fb::1/64 dev o1 nodad
addr add fc00:f::1/128 dev lo nodad
route add default via fd00:f::1
route add fc00:b::/48 via fd00:fb::2
END
    lab_ip b <<END
addr add fd00:fb::2/64 dev r1 nodad
END
    lab_start delayline2 delay "$LAB_TOOLS/delayline" --control "$LAB_DIR/delayline2.fifo" \
        rt st 1 tb ub 1
    lab_wait 5 "delay line of the transit node ready" lab_ready delayline2
}

# Its kernel does it; nobody there tells of its links.
triangle_kernel() {
    local port mode
    for port in o0 o1; do # what a killed dataplane left drops its SIDs
        for mode in xdp xdpgeneric; do
            ip -n "$(lab_ns transit)" link set "$port" "$mode" off 2>/dev/null || true
        done
    done
    lab_ip transit <<END
route add fc00:f:0:e::/64 encap seg6local action End dev o0
END
    LAB_TRANSITS='[{name: t, sid: "fc00:f:0:e::1"}]'
}

# Ours, with control, that tells the edge what it measures.
triangle_ours() {
    lab_key edge
    lab_key transit
    cat >"$LAB_DIR/transit.yaml" <<END
node: t
address: fc00:f::1
key: $LAB_DIR/transit.key
run_dir: $LAB_DIR/transit
dataplane:
  ports: [o0, o1]
  pins: 10k
  huge_pages: ${LAB_HUGE_PAGES:-false}
  sids: ["fc00:f:0:e::/64"]
metrics:
  listen: "127.0.0.1:9801"
probes: $LAB_PROBES
services: []
sites:
  - name: a
    sid: "fc00:a:0:6::"
    reflector: fc00:a::1
  - name: b
    sid4: "fc00:b:0:4::"
    sid6: "fc00:b:0:6::"
    reflector: fc00:b::1
edges:
  - name: edge
    key: $(lab_public edge)
    address: "[fc00:e::1]:7801"
END
    LAB_TRANSITS='[{name: t, key: "'$(lab_public transit)'", sid: "fc00:f:0:e::1", reflector: "fc00:f::1"}]'
    lab_dataplane_start transit
    lab_control_start transit
}
