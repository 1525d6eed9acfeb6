#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A newcomer's host: the package's files, the README's own agent.yaml with its three placeholders
# filled in, and the first report is accepted by the edge. At most 10 lines of configuration. Then
# those with numbers of their own: a program built against the installed library, lines into the
# agent, lines into `suanlu publish`.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# The block that follows the line which names agent.yaml.
readme_block() {
    awk '/`\/etc\/suanlu\/agent.yaml`/ { found = 1 } found && /^```$/ { exit }
        inside { print } found && /^```yaml$/ { inside = 1 }' "$LAB_TOP/README.md"
}

accepted() {
    lab_cli edge show reports --json | jq -e '.reports.accepted > 0'
}

# load SITE FILTER: jq over what the edge was told of infer there
load() {
    lab_cli edge show telemetry --json |
        jq -ce "[.telemetry[] | select(.site == \"$1\" and .service == \"infer\")] |
            map({key: .type, value: .value}) | from_entries | $2"
}

# lines: what the program on the other end of the pipe says; bad ones harm nobody
lines() {
    echo garbage
    echo '{"service": "infer", "in_flight": 3, "service_time_s": "soon"}'
    while echo '{"service": "infer", "in_flight": 3, "queued": 2, "service_time_s": 0.05, "valid_for_ms": 1000}'; do
        sleep 0.1
    done
}

test_lab
lab_config_edge optimal a b c
lab_node_start edge
DESTDIR=$LAB_DIR/root meson install -C "$LAB_BUILD" --no-rebuild --quiet >/dev/null 2>&1
agent=$(find "$LAB_DIR/root" -name suanlu-agent -type f)
library=$(dirname "$(find "$LAB_DIR/root" -name 'libsuanlu.so.0' | head -n 1)")
check "the package has the agent and its library" "no such files" test -x "$agent" -a -n "$library"

check "and the folder for its key" "none" env LD_LIBRARY_PATH="$library" \
    "$(find "$LAB_DIR/root" -name suanlu -type f -perm -1)" keygen "$LAB_DIR/root/etc/suanlu/chengdu.key"
readme_block >"$LAB_DIR/agent-a.yaml"
check_number "lines of configuration" "$(wc -l <"$LAB_DIR/agent-a.yaml")" "<=" 10 "lines"
check_number "... and there are some" "$(wc -l <"$LAB_DIR/agent-a.yaml")" ">" 4 "lines"
sed -i "s|/etc/suanlu/chengdu.key|$LAB_DIR/a.key|; s|\[2001:db8:e::1\]:7801|[fc00:e::1]:7801|
    s|B64PUBLICKEYOFTHEEDGE...|$(lab_public edge)|" "$LAB_DIR/agent-a.yaml"
check "it is right" "not so" env LD_LIBRARY_PATH="$library" "$agent" --check -c "$LAB_DIR/agent-a.yaml"
check "who checks it as a node's is told how" "not so" grep -q "suanlu-agent --check" <(
    "$LAB_BUILD/control/cli/suanlu" check "$LAB_DIR/agent-a.yaml" 2>&1)
lab_server_start a 16 10
start_ns=$(date +%s%N)
lab_start agent-a a env LD_LIBRARY_PATH="$library" "$agent" -c "$LAB_DIR/agent-a.yaml"
check "its first report is accepted" "$(cat "$LAB_DIR/agent-a.err")" lab_wait 5 "" accepted
check_number "... after" "($(date +%s%N) - $start_ns) / 1e9" "<" 5 "s"
check "the edge knows its load" "not so" lab_wait 3 "" lab_site_is a fresh

# Own numbers. b: a program of its own.
library_path=$(dirname "$(find "$LAB_DIR/root" -name suanlu.pc)")
export PKG_CONFIG_PATH=$library_path PKG_CONFIG_SYSROOT_DIR=$LAB_DIR/root
# shellcheck disable=SC2046 # words are wanted
check "a program builds against the installed library" "see above" \
    cc -Wall -Wextra -Werror -o "$LAB_DIR/own" "$LAB_TOP/tests/net/newcomer.c" $(pkg-config --cflags --libs suanlu)
lab_start own b env LD_LIBRARY_PATH="$library" "$LAB_DIR/own" "$LAB_DIR/b.key" "[fc00:e::1]:7801" "$(lab_public edge)"
check "libsuanlu: the edge knows its load" "$(cat "$LAB_DIR/own.err")" lab_wait 5 "" load b \
    '.in_flight == 5 and .servers == 8 and .queue_share == 0.25 and .latency_p99 == 0.084'

# c: lines into the agent.
cat >"$LAB_DIR/agent-c.yaml" <<END
key: $LAB_DIR/c.key
publish: {to: "[fc00:e::1]:7801", key: $(lab_public edge)}
services: {name: infer, servers: 4, source: stdin}
END
mkfifo "$LAB_DIR/fifo"
export -f lines
lab_start lines c bash -c "lines >'$LAB_DIR/fifo'"
lab_start agent-c c sh -c "exec env LD_LIBRARY_PATH='$library' '$agent' -c '$LAB_DIR/agent-c.yaml' <'$LAB_DIR/fifo'"
check "lines into the agent: the edge knows its load" "$(cat "$LAB_DIR/agent-c.err")" lab_wait 5 "" \
    load c '.in_flight == 3 and .queued == 2 and .servers == 4 and .service_time == 0.05'
check_equal "... and each kind of bad line is named once" \
    "$(grep -c 'standard input, line' "$LAB_DIR/agent-c.err")" 2
lab_stop lines
check "... it ends when the program and its last numbers do" "it runs" lab_wait 4 "" lab_dead agent-c
check "... and has counted them" "$(tail -n 2 "$LAB_DIR/agent-c.err")" \
    grep -qE 'standard input: [0-9]+ lines, 2 bad' "$LAB_DIR/agent-c.err"

# a: lines into the command.
lab_stop agent-a
status=0
{ echo '{"service": "infer", "in_flight": -1}'; echo '{"service": "infer", "servers": 2, "in_flight": 1, "valid_for_ms": 5000}'; } |
    lab_in a "$LAB_BUILD/control/cli/suanlu" publish --stdin --key "$LAB_DIR/a.key" --to "[fc00:e::1]:7801" \
        --edge-key "$(lab_public edge)" 2>"$LAB_DIR/publish.err" || status=$?
check_equal "publish --stdin: a bad line is named and the status says so" "$status $(grep -c 'line 1: in_flight' "$LAB_DIR/publish.err")" "1 1"
check "... and the good one is known" "not so" lab_wait 3 "" load a '.servers == 2 and .in_flight == 1'
test_end
