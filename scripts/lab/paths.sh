#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Measured paths in the lab, sourced by tests and benchmarks after checks.sh.

# path_is NAME CONDITION: of `suanlu show paths --json`, of the edge
path_is() {
    lab_cli edge show paths --json | jq -e --arg path "$1" \
        ".paths[] | select(.path == \$path) | $2"
}

path_alive() {
    path_is "$1" '.state == "alive"'
}

paths_alive() {
    local path
    for path in "$@"; do
        lab_wait 10 "the path to $path alive" path_alive "$path"
    done
}

# paths_watch: $LAB_DIR/watch.out gets what passes between the edge and the router
paths_watch() {
    rm -f "$LAB_DIR/watch.out"
    lab_start watch router "$LAB_TOP/scripts/lab/watch.py" e0
    lab_wait 5 "watch.py ready" lab_ready watch
}

# path_kill INTERFACE SITE...: cuts the delay line; adds to $LAB_DIR/path-death.ms how long data went
# to SITE (segments fc00:SITE:...) after the last answer from there, both as the router saw them
path_kill() {
    local cut=$1 site=$2
    : >"$LAB_DIR/watch.out"
    sleep "0.1$((RANDOM % 10))"
    lab_delayline "cut $cut"
    sleep "${PATH_WAIT_S:-0.35}"
    awk -v site="^fc00:$site:" '
        $3 ~ site && $2 == "answer" { answer = $1 }
        $3 ~ site && $2 == "data" { data = $1; packets++ }
        END { if (!packets || !answer) exit 1
              print (data > answer ? (data - answer) * 1000 : 0) }' \
        "$LAB_DIR/watch.out" >>"$LAB_DIR/path-death.ms"
}

# path_mend INTERFACE PATH
path_mend() {
    lab_delayline "join $1"
    lab_wait 10 "the path to $2 alive again" path_alive "$2"
}
