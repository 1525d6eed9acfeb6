#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The attack of bench-attack.sh, short and with a quarter of its rate: no good report is lost.
PER_SECOND=50000 REPORTS=10 exec "$(dirname "$0")/../../scripts/bench-attack.sh"
