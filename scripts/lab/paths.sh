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

# path_line COMMAND INTERFACE: to the delay line that has it (triangle.sh has another)
path_line() {
    case $2 in
    rt) echo "$1 $2" >"$LAB_DIR/delayline2.fifo" ;;
    *) lab_delayline "$1 $2" ;;
    esac
}

# path_kill INTERFACE SEGMENT SITE NAME: cuts the delay line; adds to $LAB_DIR/NAME.ms how long data went
# to fc00:SEGMENT: after SITE's last answer to probes that went there, both as the router saw them. Fails
# if it saw none of either.
path_kill() {
    : >"$LAB_DIR/watch.out"
    sleep "0.1$((RANDOM % 10))"
    path_line cut "$1"
    sleep "${PATH_WAIT_S:-0.35}"
    awk -v segment="^fc00:$2:" -v site="^fc00:$3:" '
        $3 ~ segment && $2 == "probe" { session[$4] = 1 }
        $3 ~ site && $2 == "answer" && $4 in session { answer = $1 }
        $3 ~ segment && $2 == "data" { data = $1; packets++ }
        END { if (!packets || !answer) exit 1
              print (data > answer ? (data - answer) * 1000 : 0) }' \
        "$LAB_DIR/watch.out" >>"$LAB_DIR/$4.ms"
}

# path_mend INTERFACE PATH
path_mend() {
    path_line join "$1"
    lab_wait 10 "the path to $2 alive again" path_alive "$2"
}
