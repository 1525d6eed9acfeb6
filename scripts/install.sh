#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the Debian packages that suanlu needs to be built, run, tested and shown, if any is
# missing; otherwise touches nothing, the network least of all. --list prints them. --peers adds
# the programs that tests speak with (installed, neither started nor enabled), --bench those that
# benchmarks compare with or count by.
set -euo pipefail

packages=(
    # build
    gcc libc6-dev linux-libc-dev clang libclang-rt-14-dev llvm meson ninja-build pkg-config protobuf-c-compiler
    # what it stands on
    libdpdk-dev libbpf-dev libxdp-dev libmnl-dev libsodium-dev libprotobuf-c-dev
    libevent-dev libyaml-dev libjansson-dev libcap-dev libcmocka-dev libnats-dev
    # lab, tests and demo
    iproute2 iputils-ping ethtool procps curl jq gnuplot-nox tcpdump
    python3 python3-scapy python3-cryptography
)

peers=(frr bird2 nats-server prometheus-node-exporter)
bench=(dpdk-dev dpdk-doc valgrind)

case ${1:-} in
--peers) packages+=("${peers[@]}" "${bench[@]}"); shift ;;
--bench) packages+=("${bench[@]}"); shift ;;
esac
if [ "${1:-}" = --list ]; then
    printf '%s\n' "${packages[@]}"
    exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install.sh: this system has no apt; suanlu's scripts expect Debian 12." >&2
    echo "Install what these Debian packages hold, then build with meson:" >&2
    echo "  ${packages[*]}" >&2
    exit 1
fi

mapfile -t missing < <(printf '%s\n' "${packages[@]}" | grep -vxF -f <(
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
        sed -n 's/^installed //p') || true)

if [ ${#missing[@]} = 0 ]; then
    echo "packages: all ${#packages[@]} are installed"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "install.sh: ${#missing[@]} packages are missing, and only root can install them." >&2
    echo "Run it with sudo, or run:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "packages: installing ${#missing[@]} of ${#packages[@]}: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=
trap 'rm -f "$log" $policy' EXIT
# A package's script asks this before it starts a daemon.
if [[ " ${missing[*]} " =~ \ (frr|bird2|nats-server|prometheus-node-exporter)\  ]] && [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
install() {
    apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
# Lists may be old or absent on a fresh machine: fetch them when a first try fails.
if ! install && ! { apt-get update >"$log" 2>&1 && install; }; then
    tail -n 15 "$log" >&2
    echo "install.sh: apt-get failed, see above. Is there a way to a Debian mirror?" >&2
    exit 1
fi
for daemon in frr bird2:bird nats-server prometheus-node-exporter; do
    [[ " ${missing[*]} " != *" ${daemon%:*} "* ]] ||
        systemctl disable "${daemon#*:}" >/dev/null 2>&1 || true
done
echo "packages: installed"
