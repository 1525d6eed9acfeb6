#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A wrong configuration names file, line, key and what was expected; nothing starts
# half-configured, and nothing that runs is harmed.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# refused NAME PATTERN ROLE COMMAND...: exits with 1 soon, and says PATTERN on stderr
refused() {
    local name=$1 pattern=$2 role=$3 status=0
    shift 3
    lab_in "$role" timeout 10 "$@" >/dev/null 2>"$LAB_DIR/said" </dev/null || status=$?
    if [ "$status" = 1 ] && grep -qE "$pattern" "$LAB_DIR/said"; then
        ok "$name"
    else
        not_ok "$name" "status $status, said: $(tail -n 3 "$LAB_DIR/said" | tr '\n' ' ')"
    fi
}

# wrong NAME SED PATTERN: by the edge's configuration changed by SED, for all who read it
wrong() {
    local line
    sed "$2" "$LAB_DIR/edge.yaml" >"$LAB_DIR/wrong.yaml"
    # The first line that differs is the one to be named.
    line=$({ cmp "$LAB_DIR/edge.yaml" "$LAB_DIR/wrong.yaml" || true; } | sed -n 's/.* line //p')
    local pattern=${3//LINE/"wrong.yaml:$line"}
    refused "$1: check" "$pattern" edge "$LAB_BUILD/control/cli/suanlu" check "$LAB_DIR/wrong.yaml"
    refused "$1: dataplane" "$pattern" edge "$LAB_BUILD/dataplane/suanlu-dataplane" \
        -c "$LAB_DIR/wrong.yaml"
    refused "$1: control" "$pattern" edge "$LAB_BUILD/control/suanlu-control" \
        -c "$LAB_DIR/wrong.yaml"
}

xdp_programs() {
    local count
    count=$(ip -n "$(lab_ns edge)" -d link show | grep -c 'prog/xdp') || true
    echo "$count"
}

test_lab
lab_config_edge
check "a right configuration" "refused" \
    lab_in edge "$LAB_BUILD/control/cli/suanlu" check "$LAB_DIR/edge.yaml"
wrong "unknown key" 's/^steering:/stering:/' 'LINE:.*stering'
wrong "bad address" '0,/ipv4: .*/s//ipv4: 192.0.2.380/' 'LINE:.*ipv4.*192\.0\.2\.380'
wrong "bad port" '0,/port: 80$/s//port: 70000/' 'LINE:.*port.*70000'
wrong "duplicate service" 's/- name: stream/- name: infer/' 'LINE:.*infer'
wrong "unknown site" '0,/sites: \[a,b,c\]/s//sites: [a,b,x]/' 'LINE:.*sites.*x'
wrong "bad SID" 's/sid4: "fc00:b:0:4::"/sid4: "fc00:b:0:4"/' 'LINE:.*sid4.*fc00:b:0:4'
wrong "bad key" '0,/    key: .*/s//    key: nonsense/' 'LINE:.*key.*nonsense'
wrong "negative delay" 's/delay_ms: 2$/delay_ms: -2/' 'LINE:.*delay_ms.*-2'

sed 's/ports: .*/ports: [c0, nosuch0]/' "$LAB_DIR/edge.yaml" >"$LAB_DIR/wrong.yaml"
refused "missing interface: dataplane" nosuch0 edge \
    "$LAB_BUILD/dataplane/suanlu-dataplane" -c "$LAB_DIR/wrong.yaml"
sed "s|^key: .*|key: $LAB_DIR/nosuch.key|" "$LAB_DIR/edge.yaml" >"$LAB_DIR/wrong.yaml"
refused "unreadable key: control" 'nosuch\.key' edge \
    "$LAB_BUILD/control/suanlu-control" -c "$LAB_DIR/wrong.yaml"
refused "no such file" 'nosuch\.yaml' edge \
    "$LAB_BUILD/control/suanlu-control" -c "$LAB_DIR/nosuch.yaml"
chmod 711 "$LAB_DIR"
lab_config_gateway # it needs no secret
chmod 644 "$LAB_DIR/gate.yaml"
refused "no privileges: dataplane says what it needs" 'root|CAP_|capabilit' gate \
    setpriv --reuid=65534 --regid=65534 --clear-groups \
    "$LAB_BUILD/dataplane/suanlu-dataplane" -c "$LAB_DIR/gate.yaml"
check_equal "XDP programs left by failed starts" "$(xdp_programs)" 0

# A second dataplane on the same ports is refused and the first does not notice.
lab_server_start a 4 2
lab_server_start b 4 2
lab_node_start edge
lab_cli edge drain c >/dev/null
refused "a second dataplane" '.' edge "$LAB_BUILD/dataplane/suanlu-dataplane" -c "$LAB_DIR/edge.yaml"
refused "a second control" '.' edge "$LAB_BUILD/control/suanlu-control" -c "$LAB_DIR/edge.yaml"
check_equal "requests after that: failed" "$(lab_in client "$LAB_TOOLS/client" load \
    --to "$LAB_IPV4" --rate 50 --seconds 1 --timeout 2000 | tail -n 1 | jq .failed)" 0
check "and routes are still acknowledged" "not acknowledged" lab_wait 3 "" lab_steers edge
test_end
