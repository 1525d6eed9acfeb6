#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the programs may still do once they run, and what a local user without rights may do to them:
# with `user:`, control has no capability, the dataplane CAP_NET_ADMIN in one thread, and nobody
# else reads or changes anything. All that they do afterwards still works.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

RUN_AS=daemon # whom install scripts would make `suanlu`; the attacker is nobody

# status NAME FIELD: of each thread of a process, once each
status() {
    awk -v field="$2:" '$1 == field { print $2 }' "/proc/$(lab_pid "$1")/task/"*/status |
        sed 's/^0*//; s/^$/0/' | sort -u | paste -sd,
}

# rights NAME: real and effective user; permitted, effective, inheritable, ambient and bounding
# sets of capabilities; no rights by exec
rights() {
    echo "$(awk '$1 == "Uid:" { print $2 "/" $3 }' "/proc/$(lab_pid "$1")/task/"*/status | sort -u)" \
        "$(for set in CapPrm CapEff CapInh CapAmb CapBnd; do
            status "$1" "$set"
        done | paste -sd' ')" "$(status "$1" NoNewPrivs)"
}

as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs "$@" 2>/dev/null
}

# What nobody can do with each file and socket of a directory, one line each; then "looked at N".
attack() {
    as_nobody /usr/bin/python3 - "$1" <<'END'
import os, socket, stat, sys
count = 0
for folder, _, files in os.walk(sys.argv[1]):
    if os.access(folder, os.W_OK):
        print('writes', folder)
    for path in (os.path.join(folder, name) for name in files):
        kind = os.lstat(path).st_mode
        count += 1
        for flags in () if stat.S_ISSOCK(kind) else (os.O_RDONLY, os.O_WRONLY):
            try:
                os.open(path, flags | os.O_NONBLOCK)
                print('opens', path, flags)
            except OSError:
                pass
        for type in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET) if stat.S_ISSOCK(kind) else ():
            try:
                socket.socket(socket.AF_UNIX, type).connect(path)
                print('connects to', path)
            except OSError:
                pass
print('looked at', count)
END
}

# An HTTP request as nobody: status code
http() {
    ip netns exec "$(lab_ns edge)" setpriv --reuid=65534 --regid=65534 --clear-groups \
        curl -s -o "$LAB_DIR/body" -w '%{http_code}' --max-time 3 -X "$1" "http://127.0.0.1:9801$2"
}

answered() {
    lab_in client curl -sf --max-time 0.5 "http://$LAB_IPV4/work"
}

xdp_programs() {
    local count
    count=$(ip -n "$(lab_ns edge)" -d link show | grep -c 'prog/xdp') || true
    echo "$count"
}

# What systemd says of our units, with the programs where they are now.
units() {
    local name
    mkdir -p "$LAB_DIR/units"
    for name in dataplane control agent; do
        sed "s|^ExecStart=.*/|ExecStart=$(dirname "$(find "$LAB_BUILD" -name "suanlu-$name" -type f)")/|" \
            "$LAB_BUILD/scripts/systemd/suanlu-$name.service" >"$LAB_DIR/units/suanlu-$name.service"
    done
    systemd-analyze verify --man=no "$LAB_DIR"/units/*.service 2>&1 | grep -F suanlu- || true
}

test_lab
[ ! -x /usr/bin/systemd-analyze ] || check_equal "systemd finds nothing wrong with the units" "$(units)" ""
chmod 711 "$LAB_DIR" # so that it is the files' own modes that are tried
export LAB_USER=$RUN_AS
uid=$(id -u "$RUN_AS")
lab_engine_up 4 4 4
chmod 644 "$LAB_DIR/edge.yaml"

check_equal "control: its user, no capability in any thread" "$(rights control-edge)" \
    "$uid/$uid 0 0 0 0 0 1"
check_equal "dataplane: its user, CAP_NET_ADMIN in one thread" "$(rights dataplane-edge)" \
    "$uid/$uid 0,1000 0,1000 0 0 0 1"
check_equal "of how many" "$(grep -l 'CapEff:.*1000$' "/proc/$(lab_pid dataplane-edge)/task/"*/status |
    wc -l)" 1
check_equal "agent: CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" "$(rights agent-a)" \
    "0/0 80004 80004 0 0 0 1"
check_equal "without user: the same capabilities" "$(rights dataplane-gate),$(rights control-gate)" \
    "0/0 0,1000 0,1000 0 0 0 1,0/0 0 0 0 0 0 1"

check_equal "nobody looks into run_dir" "$(as_nobody ls "$LAB_DIR/edge")" ""
chmod o+rx "$LAB_DIR/edge"
attacked=$(attack "$LAB_DIR/edge")
check_equal "with the directory open, files and sockets still are closed" \
    "$(grep -v ^looked <<<"$attacked")" ""
check_number "that is" "$(sed -n 's/looked at //p' <<<"$attacked")" ">=" 7 "files and sockets"
# The attack itself works: an open directory with an open file.
mkdir -m 777 "$LAB_DIR/open"
install -m 666 /dev/null "$LAB_DIR/open/file"
check_equal "and what is open is found open" "$(attack "$LAB_DIR/open" | wc -l)" 4
chmod o-rx "$LAB_DIR/edge"
check_equal "keys are closed" "$(for key in "$LAB_DIR"/*.key; do as_nobody cat "$key"; done)" ""
check_equal "processes are closed" "$(for process in control dataplane; do
    as_nobody cat "/proc/$(lab_pid "$process-edge")/"{environ,maps}; done)" ""
check_equal "metrics are read only: GET, POST, PUT, DELETE, another path" \
    "$(http GET /metrics) $(http POST /metrics) $(http PUT /metrics) $(http DELETE /metrics) $(http GET /)" \
    "200 501 501 501 404"

# What needs rights later on.
check "requests" "no answer" lab_wait 3 "" answered
check "drain is written" "refused" lab_cli edge drain b
sed -i 's/delay_ms: 8/delay_ms: 9/' "$LAB_DIR/edge.yaml"
check "reload, though the key is root's" "refused" lab_cli edge reload
lab_ip edge <<<"neigh flush dev o0"
check "a neighbour that was forgotten is asked for" "no answer" lab_wait 5 "" answered
lab_stop dataplane-edge KILL
lab_dataplane_start edge
check "the dataplane starts again after kill -9" "see its log" lab_wait 10 "" answered
check_equal "with its rights" "$(rights dataplane-edge)" "$uid/$uid 0,1000 0,1000 0 0 0 1"
lab_stop control-edge KILL
lab_control_start edge
check "control too" "see its log" lab_wait 5 "" lab_steers edge
check "and has read what it wrote" "not drained" lab_wait 3 "" eval \
    '[ "$(lab_cli edge show sites --json | jq ".sites[] | select(.name == \"b\").drained")" = true ]'
lab_stop dataplane-edge
check_equal "XDP programs after SIGTERM" "$(xdp_programs)" 0
check_equal "socket after SIGTERM" "$(ls "$LAB_DIR/edge/dataplane.sock" 2>/dev/null)" ""

lab_stop control-edge
LAB_ANNOUNCE="{}" lab_config_edge
chmod 644 "$LAB_DIR/edge.yaml"
lab_control_start edge
check "control answers" "see its log" lab_wait 5 "" lab_cli edge show status
check_equal "with announce control keeps CAP_NET_ADMIN" "$(rights control-edge)" \
    "$uid/$uid 1000 1000 0 0 0 1"
test_end
