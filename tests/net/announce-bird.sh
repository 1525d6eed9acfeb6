#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Real BIRD on the edge redistributes the service addresses that control puts into the kernel, from
# the main table and from one of their own.

# shellcheck source=tests/net/announce/cases.sh
. "$(dirname "$0")/announce/cases.sh"
announce_comes bgp_edge_bird
announce_follows_drains
announce_goes
sed -i 's/ learn;/ kernel table 83;&/' "$LAB_DIR/bgp-edge/bird.conf"
lab_in edge birdc -s "$LAB_DIR/bgp-edge/bird.ctl" configure >"$LAB_DIR/birdc.out"
announce_table bgp_learnt bgp_lost
test_end
