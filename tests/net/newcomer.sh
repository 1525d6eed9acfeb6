#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A newcomer's host: the package's files, the README's own agent.yaml with its three placeholders
# filled in, and the first report is accepted by the edge. At most 10 lines of configuration.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# The block that follows the line which names agent.yaml.
readme_block() {
    awk '/`\/etc\/suanlu\/agent.yaml`/ { found = 1 } found && /^```$/ { exit }
        inside { print } found && /^```yaml$/ { inside = 1 }' "$LAB_TOP/README.md"
}

accepted() {
    lab_cli edge show reports --json | jq -e '.reports.accepted > 0'
}

test_lab
lab_config_edge optimal a
lab_node_start edge
DESTDIR=$LAB_DIR/root meson install -C "$LAB_BUILD" --no-rebuild --quiet >/dev/null 2>&1
agent=$(find "$LAB_DIR/root" -name suanlu-agent -type f)
library=$(dirname "$(find "$LAB_DIR/root" -name 'libsuanlu.so.0' | head -n 1)")
check "the package has the agent and its library" "no such files" test -x "$agent" -a -n "$library"

readme_block >"$LAB_DIR/agent-a.yaml"
check_number "lines of configuration" "$(wc -l <"$LAB_DIR/agent-a.yaml")" "<=" 10 "lines"
check_number "... and there are some" "$(wc -l <"$LAB_DIR/agent-a.yaml")" ">" 4 "lines"
sed -i "s|/etc/suanlu/chengdu.key|$LAB_DIR/a.key|; s|\[2001:db8:e::1\]:7801|[fc00:e::1]:7801|
    s|B64PUBLICKEYOFTHEEDGE...|$(lab_public edge)|" "$LAB_DIR/agent-a.yaml"
lab_server_start a 16 10
start_ns=$(date +%s%N)
lab_start agent-a a env LD_LIBRARY_PATH="$library" "$agent" -c "$LAB_DIR/agent-a.yaml"
check "its first report is accepted" "$(cat "$LAB_DIR/agent-a.err")" lab_wait 5 "" accepted
check_number "... after" "($(date +%s%N) - $start_ns) / 1e9" "<" 5 "s"
check "the edge knows its load" "not so" lab_wait 3 "" lab_site_is a fresh
test_end
