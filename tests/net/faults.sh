#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One fault each of the kinds that no other test has; scripts/bench-faults.sh has a hundred of all.
exec "$(dirname "$0")/../../scripts/bench-faults.sh" --faults 8 --seed "${FAULTS_SEED:-5}" \
    gateway-kill gateway-stop dataplane-stop disk-full reload route-updates kernel-routes \
    report-reordering
