#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Real FRR on the edge redistributes the service addresses that control puts into the kernel.

# shellcheck source=tests/net/announce/cases.sh
. "$(dirname "$0")/announce/cases.sh"
announce_cases bgp_edge_frr
