#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The lab: network namespaces suanlu-$LAB-ROLE joined by veth, sourced by the demo and by the
# network tests, or on its own: lab.sh up|down [LAB]|down --all|exec LAB ROLE COMMAND...
#
#                  fd00:e::/64                fd00:a::/64            192.0.2.80, 2001:db8:80::80
#   +--------+        +------+   +--------+   +-------+   +-----------------+    on every site
#   | client |e0----c0| edge |o0-|-e0     |   | delay |   | a   kernel      |
#   |        |        +------+   |     ra-|---| 2 ms  |---|-r0  seg6local   |  fc00:a:0:4::/64 End.DX4
#   |        |                   |        |   |       |   +-----------------+  fc00:a:0:6::/64 End.DT6
#   |        |                   | router rb--| 8 ms  |---|-r0  b, like a   |  fc00:b:0:4::, fc00:b:0:6::
#   |        |                   | kernel |   |       |   +------+----------+
#   |      r0|-------------------|-c0  rc-|---| 20 ms |---|-o0   | gate i0--g0| c |
#   +--------+   replies (DSR)   |     x0 |   +-------+   +------+          +---+
#   +--------+                   +-----|--+                fc00:c:0:46::/64: our dataplane,
#   | other  |r0-----------------------+                  it delivers to the host c behind it
#   +--------+   10.4.0.0/24, fd00:4::/64: clients "elsewhere", which the router sends to site a
#
#   client e0 10.0.0.2/24 fd00::2, r0 10.1.0.2/24 fd00:1::2 (the source of its requests)
#   edge   c0 10.0.0.1/24 fd00::1, o0 fd00:e::1 10.6.0.1/24, lo fc00:e::1 (outer sources)
#   sites  (VXLAN 7, too) 10.2.N.2/24 and fd00:a::2, fd00:b::2, fd00:c::2; c 10.3.0.2/24, fc00:3::2 behind gate
#
# Client links have MTU 1500, those that carry encapsulated packets 1600. Offloads are off: the
# fast path and the delay line want whole frames with whole checksums. Nothing outside of the
# namespaces and $LAB_DIR is touched.

LAB_SITES=(a b c)
LAB_ROLES=(client edge router other delay a b gate c)
LAB_DELAYS_MS=(2 8 20)
LAB_IPV4=192.0.2.80
LAB_IPV6=2001:db8:80::80
LAB_HOLD_PORT=81

LAB=${LAB:-$$}
# Run directories hold shared memory, which belongs on a tmpfs.
for LAB_BASE in /run /dev/shm /tmp; do
    [ "$(stat -f -c %T "$LAB_BASE" 2>/dev/null)" != tmpfs ] || break
done
LAB_DIR=${LAB_DIR:-$LAB_BASE/suanlu-lab-$LAB}
LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_TOP/build}
LAB_TOOLS=$LAB_BUILD/scripts/lab

# shellcheck source=scripts/lab/engine.sh
. "$LAB_TOP/scripts/lab/engine.sh"
# shellcheck source=scripts/lab/bus.sh
. "$LAB_TOP/scripts/lab/bus.sh"

lab_fail() {
    echo "$*" >&2
    return 1
}

lab_need_root() {
    if [ "$(id -u)" != 0 ]; then
        lab_fail "$1 makes network namespaces and loads an XDP program: run it as root (sudo $1)"
    fi
}

# --- namespaces and processes -------------------------------------------------------------

lab_ns() {
    echo "suanlu-$LAB-$1"
}

# lab_in ROLE COMMAND...: runs in the foreground
lab_in() {
    local role=$1
    shift
    ip netns exec "suanlu-$LAB-$role" "$@"
}

# A process is known by its id and start time, so that a reused id is never killed.
lab_identity() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2206 # words are wanted
    stat=(${stat##*) })
    echo "$1 ${stat[19]}"
}

# lab_start NAME ROLE COMMAND...: in the background; output goes to $LAB_DIR/NAME.{out,err}
lab_start() {
    local name=$1 role=$2
    shift 2
    ip netns exec "suanlu-$LAB-$role" "$@" \
        </dev/null >>"$LAB_DIR/$name.out" 2>>"$LAB_DIR/$name.err" &
    lab_identity $! >"$LAB_DIR/$name.pid" || true
    disown $!
}

lab_pid() {
    cut -d' ' -f1 "$LAB_DIR/$1.pid"
}

# A zombie with other threads is still letting go of its files and locks.
lab_alive() {
    local identity
    identity=$(cat "$LAB_DIR/$1.pid" 2>/dev/null) && [ -n "$identity" ] &&
        [ "$(lab_identity "${identity% *}")" = "$identity" ] &&
        awk '/^State:/ { zombie = $2 == "Z" } /^Threads:/ { threads = $2 }
            END { exit zombie && threads <= 1 }' "/proc/${identity% *}/status" 2>/dev/null
}

lab_dead() {
    ! lab_alive "$1"
}

# lab_stop NAME [SIGNAL]: ends it and waits until it is gone; 3 s after a polite signal, kills
lab_stop() {
    local name=$1 signal=${2:-TERM}
    if lab_alive "$name"; then
        kill "-$signal" "$(lab_pid "$name")" 2>/dev/null || true
        if ! lab_wait 3 "" lab_dead "$name"; then
            kill -KILL "$(lab_pid "$name")" 2>/dev/null || true
            lab_wait 3 "$name does not end" lab_dead "$name" || true
        fi
    fi
    rm -f "$LAB_DIR/$name.pid"
}

# lab_wait SECONDS WHAT COMMAND...: until COMMAND succeeds; else says WHAT, returns 1
lab_wait() {
    local until what=$2
    until=$(($(date +%s%N) + $1 * 1000000000))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$(date +%s%N)" -gt "$until" ]; then
            [ -z "$what" ] || echo "waited in vain: $what" >&2
            return 1
        fi
        sleep 0.02
    done
}

lab_ready() {
    grep -qx ready "$LAB_DIR/$1.out"
}

# --- topology -------------------------------------------------------------------------------

# lab_link ROLE INTERFACE ROLE INTERFACE MTU
lab_link() {
    ip link add "$2" netns "$(lab_ns "$1")" mtu "$5" type veth \
        peer name "$4" netns "$(lab_ns "$3")" mtu "$5"
}

# LAB_PORT=af_packet: the edge and the gateway have cards that their driver owns (net_af_packet on
# the veth in the card's place, named n and the port's name), and taps instead of interfaces.
lab_nic() {
    [ "${LAB_PORT:-af_xdp}" = af_xdp ] && echo "$1" || echo "n$1"
}

# lab_ports PORT...: for dataplane.ports
lab_ports() {
    local port ports=()
    for port in "$@"; do
        [ "${LAB_PORT:-af_xdp}" = af_xdp ] && ports+=("$port") && continue
        ports+=("{name: $port, device: \"net_af_packet_$port,iface=n$port,qpairs=${LAB_WORKERS:-1},framecnt=2048\"}")
    done
    (IFS=,; echo "[${ports[*]}]")
}

# lab_card ROLE PORT MTU: its tap, and that the kernel does not take the card's packets too: an
# af_packet socket gets copies, whereas a driver that owns its card leaves nothing.
lab_card() {
    [ "${LAB_PORT:-af_xdp}" != af_xdp ] || return 0
    ip -n "$(lab_ns "$1")" tuntap add "$2" mode tap
    ip -n "$(lab_ns "$1")" link set "$2" mtu "$3"
    lab_in "$1" sysctl -qw "net.ipv6.conf.n$2.disable_ipv6=1" "net.ipv4.conf.n$2.rp_filter=1" \
        "net.ipv4.conf.n$2.arp_ignore=8" "net.ipv4.conf.n$2.forwarding=0"
}

lab_namespaces() {
    local role
    for role in "${LAB_ROLES[@]}"; do
        ip netns add "$(lab_ns "$role")"
        # Before the links exist, so that they inherit it. Transit frames do not belong to
        # the delay namespace's own IP.
        lab_in "$role" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
            net.ipv4.conf.{all,default}.rp_filter=0 net.ipv6.conf.{all,default}.seg6_enabled=1 \
            net.ipv4.conf.{all,default}.{send,accept}_redirects=0 \
            net.ipv6.conf.{all,default}.accept_{dad,ra,redirects}=0 \
            net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_max_syn_backlog=8192 \
            net.core.somaxconn=8192
    done
    lab_in delay sysctl -qw net.ipv6.conf.{all,default}.disable_ipv6=1
    lab_link client e0 edge "$(lab_nic c0)" 1500
    lab_link client r0 router c0 1500
    lab_link other r0 router x0 1500
    lab_link edge "$(lab_nic o0)" router e0 1600
    lab_link router ra delay ra 1600
    lab_link router rb delay rb 1600
    lab_link router rc delay rc 1600
    lab_link delay sa a r0 1600
    lab_link delay sb b r0 1600
    lab_link delay sc gate "$(lab_nic o0)" 1600
    lab_link gate "$(lab_nic i0)" c g0 1500
    lab_card edge c0 1500
    lab_card edge o0 1600
    lab_card gate o0 1600
    lab_card gate i0 1500
    for role in "${LAB_ROLES[@]}"; do
        # shellcheck disable=SC2016 # expanded by the inner shell
        lab_in "$role" sh -c 'ip link set lo up
            for i in $(ls /sys/class/net); do
                [ "$i" = lo ] && continue
                ethtool -K "$i" tx off rx off gso off tso off gro off >/dev/null 2>&1
                ip link set "$i" up
            done'
    done
}

# lab_ip ROLE: a batch of ip commands on stdin
lab_ip() {
    ip -n "$(lab_ns "$1")" -batch -
}

lab_addresses_transit() {
    lab_ip client <<END
addr add 10.0.0.2/24 dev e0
addr add 10.1.0.2/24 dev r0
addr add fd00::2/64 dev e0 nodad
addr add fd00:1::2/64 dev r0 nodad
route add $LAB_IPV4/32 via 10.0.0.1 src 10.1.0.2
route add $LAB_IPV6/128 via fd00::1 src fd00:1::2
route add default via 10.1.0.1
route add default via fd00:1::1
END
    lab_ip other <<END
addr add 10.4.0.2/24 dev r0
addr add fd00:4::2/64 dev r0 nodad
route add default via 10.4.0.1
route add default via fd00:4::1
END
    lab_ip edge <<END
addr add 10.0.0.1/24 dev c0
addr add fd00::1/64 dev c0 nodad
addr add fd00:e::1/64 dev o0 nodad
addr add fc00:e::1/128 dev lo nodad
addr add 10.6.0.1/24 dev o0
route add default via fd00:e::2
route add 10.2.0.0/16 via 10.6.0.2
END
    lab_ip router <<END
addr add 10.1.0.1/24 dev c0
addr add fd00:1::1/64 dev c0 nodad
addr add 10.4.0.1/24 dev x0
addr add fd00:4::1/64 dev x0 nodad
addr add fd00:e::2/64 dev e0 nodad
addr add 10.6.0.2/24 dev e0
addr add 10.2.1.1/24 dev ra
addr add 10.2.2.1/24 dev rb
addr add 10.2.3.1/24 dev rc
addr add fd00:a::1/64 dev ra nodad
addr add fd00:b::1/64 dev rb nodad
addr add fd00:c::1/64 dev rc nodad
route add fc00:e::/48 via fd00:e::1
route add fc00:a::/48 via fd00:a::2
route add fc00:b::/48 via fd00:b::2
route add fc00:c::/48 via fd00:c::2
route add 10.3.0.0/24 via 10.2.3.2
route add fc00:3::/64 via fd00:c::2
route add $LAB_IPV4/32 via 10.2.1.2
route add $LAB_IPV6/128 via fd00:a::2
END
}

# lab_addresses_site ROLE NUMBER: a site whose kernel decapsulates (RFC 8986 sections 4.5, 4.6)
lab_addresses_site() {
    lab_ip "$1" <<END
addr add 10.2.$2.2/24 dev r0
addr add fd00:$1::2/64 dev r0 nodad
addr add fc00:$1::1/128 dev lo nodad
addr add $LAB_IPV4/32 dev lo
addr add $LAB_IPV6/128 dev lo nodad
route add default via 10.2.$2.1
route add default via fd00:$1::1
route add fc00:$1:0:4::/64 encap seg6local action End.DX4 nh4 0.0.0.0 dev r0
route add fc00:$1:0:6::/64 encap seg6local action End.DT6 table 255 dev r0
link add vx7 address 02:73:0a:02:0$2:02 type vxlan id 7 dstport 4789 local 10.2.$2.2 nolearning
link set vx7 up
END
}

lab_addresses_gateway() {
    lab_ip gate <<END
addr add 10.2.3.2/24 dev o0
addr add fd00:c::2/64 dev o0 nodad
addr add fc00:c::1/128 dev lo nodad
addr add 10.3.0.1/24 dev i0
addr add fc00:3::1/64 dev i0 nodad
route add default via 10.2.3.1
route add default via fd00:c::1
END
    lab_ip c <<END
addr add 10.3.0.2/24 dev g0
addr add fc00:3::2/64 dev g0 nodad
addr add $LAB_IPV4/32 dev lo
addr add $LAB_IPV6/128 dev lo nodad
route add default via 10.3.0.1
route add default via fc00:3::1
END
}

# Makes the topology and starts the delay line. Removes what it made if that fails.
lab_up() {
    [ -x "$LAB_TOOLS/delayline" ] ||
        lab_fail "nothing is built in $LAB_BUILD: run meson setup build && ninja -C build" || return
    mkdir -m 700 "$LAB_DIR"
    lab_identity $$ >"$LAB_DIR/owner"
    lab_namespaces
    lab_addresses_transit
    lab_addresses_site a 1
    lab_addresses_site b 2
    lab_addresses_gateway
    lab_start delayline delay "$LAB_TOOLS/delayline" --control "$LAB_DIR/delayline.fifo" \
        ra sa "${LAB_DELAYS_MS[0]}" rb sb "${LAB_DELAYS_MS[1]}" rc sc "${LAB_DELAYS_MS[2]}"
    lab_wait 5 "delay line ready" lab_ready delayline || {
        cat "$LAB_DIR/delayline.err" >&2
        return 1
    }
}

# lab_delayline "cut ra" | "join ra" | "delay ra 5"
lab_delayline() {
    echo "$1" >"$LAB_DIR/delayline.fifo"
}

# Ends what the lab started, latest first, and removes it. Safe at any time, also twice.
lab_down() {
    local role file
    [ -d "$LAB_DIR" ] || return 0
    for file in "$LAB_DIR"/*.pid; do
        if [ -e "$file" ] && lab_alive "$(basename "$file" .pid)"; then
            kill -KILL "$(lab_pid "$(basename "$file" .pid)")" 2>/dev/null || true
        fi
    done
    for file in "$LAB_DIR"/*.pid; do
        [ ! -e "$file" ] || lab_stop "$(basename "$file" .pid)" KILL
    done
    for role in "${LAB_ROLES[@]}"; do
        ip netns del "$(lab_ns "$role")" 2>/dev/null || true
    done
    ! mountpoint -q "$LAB_DIR/edge" || umount "$LAB_DIR/edge" # a disk that can be full
    rm -rf "$LAB_DIR"
}

# --- on its own -----------------------------------------------------------------------------

lab_down_all() {
    local dir owner
    for dir in "$LAB_BASE"/suanlu-lab-*; do
        [ -d "$dir" ] || continue
        owner=$(cat "$dir/owner" 2>/dev/null) || owner=""
        if [ -n "$owner" ] && [ "$(lab_identity "${owner% *}")" = "$owner" ]; then
            echo "lab ${dir##*-} belongs to process ${owner% *}, which is running: left alone"
            continue
        fi
        LAB=${dir##*-} LAB_DIR=$dir lab_down
        echo "lab ${dir##*-} removed"
    done
}

lab_main() {
    set -euo pipefail
    case ${1:-} in
    up)
        lab_need_root scripts/lab/lab.sh
        lab_up || { lab_down; exit 1; }
        echo "lab $LAB is up: namespaces $(lab_ns '*'), files in $LAB_DIR"
        echo "remove it with: $0 down $LAB"
        ;;
    down)
        lab_need_root scripts/lab/lab.sh
        if [ "${2:-}" = --all ]; then
            lab_down_all
        elif [ -n "${2:-}" ]; then
            LAB=$2 LAB_DIR="$LAB_BASE"/suanlu-lab-$2 lab_down
        else
            lab_fail "which lab? one of: $(cd "$LAB_BASE" && echo suanlu-lab-* | sed 's/suanlu-lab-//g')"
        fi
        ;;
    exec)
        LAB=${2:?LAB} LAB_DIR="$LAB_BASE"/suanlu-lab-$2 lab_in "${@:3}"
        ;;
    *)
        lab_fail "usage: lab.sh up | down LAB | down --all | exec LAB ROLE COMMAND..."
        ;;
    esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    lab_main "$@"
fi
