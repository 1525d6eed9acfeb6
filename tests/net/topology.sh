#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The lab without the engine: the kernel's own SRv6 encapsulation at the edge reaches both
# kernel sites. If this fails, the lab is broken, not the engine.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# kernel_steer SITE
kernel_steer() {
    lab_ip edge <<END
route replace $LAB_IPV4/32 encap seg6 mode encap.red segs fc00:$1:0:4:: dev o0
route replace $LAB_IPV6/128 encap seg6 mode encap.red segs fc00:$1:0:6:: dev o0
END
}

# within ROLE ADDRESS MILLISECONDS: round trips of at least that, and 20 % + 2 ms more at most
within() {
    lab_in "$1" ping -q -c 5 -i 0.05 "$2" | awk -F'[ /]' -v ms="$3" \
        '/^rtt/ { print "round trip", $7, "ms"; ok = $7 >= ms && $8 <= 1.2 * ms + 2 }
         END { exit !ok }'
}

unreachable() {
    ! lab_in client ping -q -c 1 -W 0.3 "$1"
}

test_lab
ip -n "$(lab_ns edge)" sr tunsrc set fc00:e::1
for site in a b; do
    lab_server_start "$site" 4 1
    kernel_steer "$site"
    for address in "$LAB_IPV4" "[$LAB_IPV6]"; do
        check_equal "kernel to kernel, $address at $site" \
            "$(lab_in client curl -s --max-time 5 "http://$address/work" | jq -r .site)" "$site"
    done
done
lab_in client ping -q -c 1 -W 1 10.3.0.2 >/dev/null || true # resolves the neighbours
lab_in client ping -q -c 1 -W 1 10.2.1.2 >/dev/null || true
check "delay of 2 ms each way" "see ping" within client 10.2.1.2 4
check "delay of 20 ms each way" "see ping" within client 10.3.0.2 40
lab_delayline "delay rc 5"
check "a delay changed to 5 ms" "see ping" within client 10.3.0.2 10
lab_delayline "cut ra"
check "a cut link carries nothing" "answered" unreachable 10.2.1.2
test_end
