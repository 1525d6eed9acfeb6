#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# New configurations while requests run: services, sites, keys, addresses and SIDs come, change and
# go, by SIGHUP and by the CLI. No request fails, no packet is lost, no connection breaks but those
# of a site that was taken away. What cannot be is refused whole, with file, line, key and remedy.

. "$(dirname "$0")/../../scripts/lab/checks.sh"

# edit SED: the edge's configuration, replaced as a whole as an editor does
edit() {
    sed "$1" "$LAB_DIR/edge.yaml" >"$LAB_DIR/edge.new"
    mv "$LAB_DIR/edge.new" "$LAB_DIR/edge.yaml"
}

# reload NAME SERVICES SITES: expects these counts, "added removed changed" each
reload() {
    local said
    said=$(lab_cli edge reload 2>&1) || true
    check_equal "$1" "$(awk '$1 == "services" || $1 == "sites" { print $2, $4, $6 }' <<<"$said" |
        paste -sd,)" "$2,$3"
    lab_wait 3 "$1: routes in the dataplane" lab_steers edge || not_ok "$1" "not acknowledged"
}

# refused NAME SED PATTERN: nothing changes but the log
refused() {
    local before said status=0
    cp "$LAB_DIR/edge.yaml" "$LAB_DIR/edge.good"
    edit "$2"
    before=$(state)
    said=$(lab_cli edge reload 2>&1) || status=$?
    if [ "$status" = 1 ] && grep -qE "edge.yaml:[0-9]+: $3" <<<"$said"; then
        ok "refused: $1"
    else
        not_ok "refused: $1" "status $status, said: $said"
    fi
    [ "$(state)" = "$before" ] || not_ok "refused: $1" "something changed: $(state), was $before"
    mv "$LAB_DIR/edge.good" "$LAB_DIR/edge.yaml"
}

# What a refused configuration must leave alone.
state() {
    lab_cli edge show services --json | jq -c '[.services[] | [.name, .port, .ipv4, .sites]]'
}

service() { # NAME PORT
    printf '  - name: %s\\n    ipv4: %s\\n    ipv6: %s\\n    port: %s\\n' \
        "$1" "$LAB_IPV4" "$LAB_IPV6" "$2"
}

# traced PORT: of which service a new flow is
traced() {
    lab_cli edge trace tcp 10.1.0.2:5 "$LAB_IPV4:$1" --json | jq -r '"\(.how) \(.service)"'
}

learned() {
    lab_cli edge show sites --json | jq -c '[.sites[] | select(.name == "b").services[] |
        select(.name == "infer").service_time_ms] | .[0] | . != null and . > 1'
}

verdict() {
    lab_cli edge show counters --json | jq ".verdicts[\"$1\"]"
}

# IP packets that the edge's kernel forwarded: service addresses that nothing took from it
forwarded() {
    lab_in edge nstat -asz IpForwDatagrams Ip6OutForwDatagrams 2>/dev/null |
        awk '/Forw/ { sum += $2 } END { print sum + 0 }'
}

test_lab
LAB_MEAN_MS=10 lab_engine_up 16 16 16
lab_ip edge <<<"addr add fc00:e::2/128 dev lo nodad"
lab_ip a <<END
route add fc00:a:0:14::/64 encap seg6local action End.DX4 nh4 0.0.0.0 dev r0
route add fc00:a:0:16::/64 encap seg6local action End.DT6 table 255 dev r0
END
# hold NAME CONNECTIONS SITE: long-lived connections, all at that site
hold() {
    lab_steer_to "$3"
    lab_start "$1" client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections "$2" --seconds 600 --interval 100 --timeout 5000
    lab_wait 5 "connections stand at $3" lab_established "$3" "$2"
}

held() { # NAME: opened, broken, changed site
    lab_stop "$1" INT
    tail -n 1 "$LAB_DIR/$1.out" | jq -c '[.opened, .broken, .changed]'
}

lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
    --rate 100 --seconds 600 --timeout 3000
for site in c a b; do
    hold "hold-$site" 30 "$site"
done
lab_cli edge undrain a >/dev/null
forwarded_before=$(forwarded)

edit "/^sites:/i\\$(service chat 82)"
reload "a service comes" "1 0 0" "0 0 0"
check_equal "and takes flows" "$(traced 82)" "chosen chat"
edit "/^sites:/i\\$(service batch 83)"
reload "another comes" "1 0 0" "0 0 0"
edit 's/port: 82/port: 0/; s/port: 83/port: 82/; s/port: 0/port: 83/'
reload "two exchange their ports" "0 0 2" "0 0 0"
check_equal "each has the other's" "$(traced 82),$(traced 83)" "chosen batch,chosen chat"
edit 's/name: chat/name: talk/'
reload "a service changes its name" "1 1 0" "0 0 0"
check_equal "the new one has the address" "$(traced 83)" "chosen talk"
edit '/name: talk/,/port: 83/d; /name: batch/,/port: 82/d'
reload "both go" "0 2 0" "0 0 0"
check_equal "and take no more flows" "$(traced 82)" "no-service "

edit 's/fc00:a:0:4::/fc00:a:0:14::/; s/fc00:a:0:6::/fc00:a:0:16::/'
reload "a site changes its SIDs" "0 0 2" "0 0 1"
edit 's/^address: .*/address: fc00:e::2/'
reload "the outer source changes" "0 0 0" "0 0 0"
edit 's/delay_ms: 8/delay_ms: 5/; s/^steering:.*/interval_ms: 40/'
reload "a delay, the steering and the interval change" "0 0 2" "0 0 1"
check_equal "what was learned of site b stays" "$(learned)" "true"

mv "$LAB_DIR/b.key" "$LAB_DIR/b.old"
old=$(lab_public b)
lab_key b
edit "s|$old|$(lab_public b)|"
lab_stop agent-b
kill -HUP "$(lab_pid control-edge)"
lab_agent_start b
check "a site changes its key (SIGHUP), and is heard by the new one" "not heard" lab_wait 3 "" \
    eval '[ "$(lab_cli edge show sites --json |
        jq ".sites[] | select(.name == \"b\").age_ms < 90")" = true ]'

edit 's/^sites:/&\n  - name: d\n    sid: fc00:d::1\n    delay_ms: 1\n    servers: 64/'
reload "a site comes" "0 0 0" "1 0 0"
edit '/- name: d/,/servers: 64/d'
reload "and goes" "0 0 0" "0 1 0"

refused "a wrong port" '0,/port: 80$/s//port: 70000/' 'services\[0\].port: expected 1..65535'
refused "no YAML" 's/^services:/services: [/' '.'
refused "other ports" 's/^  ports: .*/  ports: [c0]/' 'dataplane.ports: cannot change .*restart suanlu-dataplane'
refused "other pins" 's/pins: 100k/pins: 200k/' 'dataplane.pins: cannot change'
refused "another run_dir" "s|^run_dir: .*|run_dir: $LAB_DIR/other|" 'run_dir: cannot change'
refused "another telemetry port" 's/]:7801/]:7802/' 'telemetry.listen: cannot change .*restart suanlu-control'
refused "an unreadable key" "s|^key: .*|key: $LAB_DIR/nosuch.key|" 'key: cannot read'
kill -HUP "$(lab_pid dataplane-edge)" # says who reads it, and goes on

for ((i = 0; i < 40; i++)); do
    edit "/^sites:/i\\$(service "more$i" $((100 + i)))"
    [ $((i % 4)) != 3 ] || edit '/name: more/,/port: 1[0-9][0-9]/d'
    kill -HUP "$(lab_pid control-edge)"
done
lab_wait 3 "routes in the dataplane" lab_steers edge
check_equal "reloads, refused" "$(grep -c 'read again' "$LAB_DIR/control-edge.err" |
    jq -c '. >= 30'),$(grep -c 'refused, nothing' "$LAB_DIR/control-edge.err")" "true,7"

lab_stop load INT
summary=$(tail -n 1 "$LAB_DIR/load.out")
check_number "requests all the while" "$(jq .done <<<"$summary")" ">" 50 requests
check_equal "of them failed" "$(jq .failed <<<"$summary")" 0
check_equal "packets without a service, a site or a next hop" \
    "$(verdict no-service),$(verdict no-candidate),$(verdict no-next-hop)" "0,0,0"
check_equal "packets that the kernel got hold of" "$(($(forwarded) - forwarded_before))" 0

# Only now is something taken away that connections stand on.
edit 's/sites: \[a,b,c\]/sites: [a,b]/; /- name: c/,$d'
lab_cli edge reload >/dev/null
sleep 1 # records go each 100 ms
for site in a b; do
    check_equal "connections at $site, of which site c is not: opened, broken, changed site" \
        "$(held "hold-$site")" "[30,0,0]"
done
lab_stop hold-c INT
check_number "connections at c, which went: broken" \
    "$(tail -n 1 "$LAB_DIR/hold-c.out" | jq .broken)" "==" 30 connections
test_end
