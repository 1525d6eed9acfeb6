#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bench-faults.sh [--faults N] [--seed S] [--json FILE] [--png FILE] [KIND...]: breaks things while real
# connections stand and new ones come, one fault after the other (default 100, drawn by the seed
# from all kinds in turn), and says what each kind did to those that it should not have touched.
#
#	control-kill, -stop     kill -9 (0.2 to 1 s dead), SIGSTOP (0.3 to 1.5 s), of edge or gateway
#	dataplane-kill, -stop   the edge's
#	gateway-kill, -stop     the dataplane of site c's gateway
#	agent-kill, -stop       one site's
#	report-loss, -duplication, -reordering   of all load reports: 50 %, 3 times, up to 300 ms
#	site-death              link, server and agent of site a or b: its connections are the fault's own
#	reload                  four configurations, of which one is wrong
#	disk-full               of the run directory; meanwhile control is started, or services come
#	route-updates           10,000 a second on the dataplane's socket for a second
#	kernel-routes           10,000 changes of the edge's kernel routes, as fast as they go
#
# Beside them: 120 long-lived connections (a record each 200 ms), 60 requests and 100 datagrams
# a second, over IPv4 and IPv6. "Foreign" is a connection or request that broke though it was not the
# fault's own; lost are datagrams that no site answered, its own aside; recovered is when all is as
# before: datagrams answered, requests within 1 s, each site heard, routes acknowledged, counted from
# when the fault was lifted (the killed one started, the stopped one continued).
#
# Ends 0 if no kind broke a foreign connection; a dataplane's kill may break 1 %. FILE of --json gets a
# list of {"fault", "times", "foreign_connections_broken", "recover_ms_p50", "recover_ms_max", ...}.

. "$(dirname "$0")/lab/checks.sh"

KINDS=(control-kill control-stop dataplane-kill dataplane-stop gateway-kill gateway-stop
    agent-kill agent-stop report-loss report-duplication report-reordering
    site-death reload disk-full route-updates kernel-routes)
FAULTS=100
SEED=$(($(date +%s) % 32768))
JSON=
PNG=
WANTED=()
HELD=120

usage() {
    echo "usage: bench-faults.sh [--faults N] [--seed S] [--json FILE] [--png FILE] [KIND...]" >&2
    echo "kinds: ${KINDS[*]}" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --faults) FAULTS=${2:?N}; shift ;;
    --seed) SEED=${2:?S}; shift ;;
    --json) JSON=${2:?FILE}; shift ;;
    --png) PNG=${2:?FILE}; shift ;;
    *) [[ " ${KINDS[*]} " == *" $1 "* ]] || usage
        WANTED+=("$1") ;;
    esac
    shift
done
[ ${#WANTED[@]} -gt 0 ] || WANTED=("${KINDS[@]}")

now_us() {
    echo $(($(date +%s%N) / 1000))
}

# draw MIN MAX: sets $drawn (a subshell would draw the same again)
draw() {
    drawn=$(($1 + RANDOM % ($2 - $1 + 1)))
}

# choose WORD...: sets $drawn to one of them
choose() {
    draw 1 $#
    drawn=${!drawn}
}

# wait_ms MIN MAX: for a time drawn
wait_ms() {
    draw "$1" "$2"
    sleep "$(printf '%d.%03d' $((drawn / 1000)) $((drawn % 1000)))"
}

lifted() {
    LIFTED=$(now_us)
}

# kill_and_start NAME COMMAND...: kill -9, some time without, COMMAND starts it again
kill_and_start() {
    local name=$1
    shift
    lab_stop "$name" KILL
    wait_ms 200 1000
    lifted
    "$@"
}

# stop_and_continue NAME
stop_and_continue() {
    local pid
    pid=$(lab_pid "$1")
    kill -STOP "$pid"
    wait_ms 300 1500
    lifted
    kill -CONT "$pid"
}

# meddle COMMAND: with the reports
meddle() {
    echo "$1" >"$LAB_DIR/meddler.fifo"
    wait_ms 1000 2000
    lifted
    echo clear >"$LAB_DIR/meddler.fifo"
}

fault_control-kill() {
    choose edge gate
    victim=$drawn
    kill_and_start "control-$victim" lab_control_start "$victim"
}

fault_control-stop() {
    choose edge gate
    victim=$drawn
    stop_and_continue "control-$victim"
}

fault_dataplane-kill() {
    victim=edge
    kill_and_start dataplane-edge lab_dataplane_start edge
}

fault_dataplane-stop() {
    victim=edge
    stop_and_continue dataplane-edge
}

fault_gateway-kill() {
    victim=gate
    kill_and_start dataplane-gate lab_dataplane_start gate
}

fault_gateway-stop() {
    victim=gate
    stop_and_continue dataplane-gate
}

fault_agent-kill() {
    choose a b c
    victim=$drawn
    kill_and_start "agent-$victim" lab_agent_start "$victim"
}

fault_agent-stop() {
    choose a b c
    victim=$drawn
    stop_and_continue "agent-$victim"
}

fault_report-loss() {
    victim=reports
    meddle "loss 50"
}

fault_report-duplication() {
    victim=reports
    meddle "duplicate 3"
}

fault_report-reordering() {
    victim=reports
    meddle "reorder 300"
}

fault_site-death() {
    choose a b
    victim=$drawn
    lab_delayline "cut r$victim"
    lab_stop "agent-$victim" KILL
    lab_stop "server-$victim" KILL
    lab_stop "datagrams-$victim" KILL
    wait_ms 1000 2000
    site_start "$victim"
    lifted
    lab_delayline "join r$victim"
    lab_agent_start "$victim"
}

fault_reload() {
    local config=$LAB_DIR/edge.yaml
    victim=edge
    cp "$config" "$LAB_DIR/edge.before"
    sed -i "s/^sites:/  - name: extra\n    ipv4: $LAB_IPV4\n    protocol: tcp\n    port: 8080\n&/" "$config"
    lab_cli edge reload >/dev/null
    sed -i 's/delay_ms: 8/delay_ms: 12/' "$config"
    lab_cli edge reload >/dev/null
    sed -i 's/port: 8080/port: 80/' "$config"
    ! lab_cli edge reload >/dev/null 2>&1 || lab_fail "a service was taken twice"
    wait_ms 0 500
    lifted
    cp "$LAB_DIR/edge.before" "$config"
    lab_cli edge reload >/dev/null
}

# All bytes and all names that the file system has
fault_disk-full() {
    local number
    choose full control routes
    victim=$drawn
    dd if=/dev/zero of="$LAB_DIR/edge/filler" bs=64k 2>/dev/null || true
    for ((number = 0; number < 100; number++)); do
        : >"$LAB_DIR/edge/filler-$number" 2>/dev/null || break
    done 2>/dev/null
    [ "$victim" != control ] || lab_stop control-edge KILL
    [ "$victim" != routes ] || flood 1000 0.1 >/dev/null
    wait_ms 200 600
    [ "$victim" != control ] || lab_control_start edge
    wait_ms 200 600
    lifted
    rm -f "$LAB_DIR"/edge/filler*
}

# flood PER_SECOND SECONDS
flood() {
    "$LAB_TOOLS/route_flood" "$LAB_DIR/edge/dataplane.sock" "$1" "$2" fc00:a:0:4:: fc00:b:0:4:: \
        fc00:c:0:46::1 || lab_fail "route updates were refused"
}

fault_route-updates() {
    victim=edge
    flood 10000 1 >>"$LAB_DIR/floods.out"
    lifted
}

fault_kernel-routes() {
    victim=edge
    ip -n "$(lab_ns edge)" -batch "$LAB_DIR/kernel-routes"
    lifted
}

# --- the lab ----------------------------------------------------------------------------------

# What is answered at a site: requests, long-lived connections, datagrams
site_start() {
    lab_server_start "$1" 16 "${LAB_MEAN_MS:-2}"
    rm -f "$LAB_DIR/datagrams-$1.out"
    lab_start "datagrams-$1" "$1" "$LAB_TOP/scripts/lab/datagrams.py" serve "$1" 82 "$LAB_IPV4" "$LAB_IPV6"
    lab_wait 5 "datagrams at $1" lab_ready "datagrams-$1"
}

engine() {
    local site number
    mkdir -m 750 "$LAB_DIR/edge"
    mount -t tmpfs -o size=16m,nr_inodes=64,mode=750 none "$LAB_DIR/edge"
    for ((number = 0; number < 5000; number++)); do
        echo "route add fd77:0:0:$((number % 1000))::/64 via fd00:e::2"
        echo "route del fd77:0:0:$((number % 1000))::/64 via fd00:e::2"
    done >"$LAB_DIR/kernel-routes"
    lab_start meddler edge "$LAB_TOP/scripts/lab/meddler.py" "$LAB_DIR/meddler.fifo" \
        '[fc00:e::1]:7800' '[fc00:e::1]:7801'
    lab_wait 5 "the meddler" lab_ready meddler
    LAB_MEAN_MS=2 lab_engine_up 16 16 16
    for site in "${LAB_SITES[@]}"; do
        lab_stop "server-$site" KILL
        site_start "$site"
    done
}

clients() {
    lab_start hold client "$LAB_TOOLS/client" hold --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --port "$LAB_HOLD_PORT" --connections "$HELD" --interval 200 --timeout 10000 \
        --seconds 100000 --reopen --log "$LAB_DIR/hold.log"
    lab_start load client "$LAB_TOOLS/client" load --to "$LAB_IPV4" --to "$LAB_IPV6" \
        --rate 60 --seconds 100000 --timeout 5000 --log "$LAB_DIR/load.log"
    lab_start datagrams client "$LAB_TOP/scripts/lab/datagrams.py" send "$LAB_DIR/datagrams.log" 82 100 48 \
        "$LAB_IPV4" "$LAB_IPV6"
    lab_wait 10 "long-lived connections" all_held
    sleep 1 # they have been answered
}

all_held() {
    local site n=0
    for site in "${LAB_SITES[@]}"; do
        n=$((n + $(lab_in "$site" ss -Htn state established "sport = :$LAB_HOLD_PORT" | wc -l)))
    done
    [ "$n" -ge "$HELD" ]
}

# Control has its dataplane, which has the routes, of this run and not of the one before
complete() {
    lab_cli "$1" show status --json | jq -e .dataplane_connected && lab_steers "$1" &&
        lab_cli "$1" show neighbours --json |
        jq -e '.neighbours | length > 0 and all(.resolved or .references == 0)'
}

recovered() {
    lab_cli edge show sites --json | jq -e 'all(.sites[]; .state == "fresh")' &&
        complete edge && complete gate &&
        lab_in client curl -sf --max-time 0.5 -o /dev/null "http://$LAB_IPV4/work"
}

# One fault: a line of kind, victim, and when it began, was lifted, and all was well again
fault() {
    local began well
    began=$(now_us)
    "fault_$1"
    until well=$(now_us) && recovered >/dev/null 2>&1; do # when it is asked, not when it is answered
        if [ "$well" -gt $((LIFTED + 15000000)) ]; then
            tail -n 3 "$LAB_DIR"/{control,dataplane}-*.err >&2
            lab_fail "no recovery from $1 of $victim within 15 s"
        fi
    done
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$victim" "$began" "$LIFTED" "$well" >>"$LAB_DIR/faults.log"
    # TCP's timers double: a connection may need as long again as it had no way
    draw 300 600
    wait_ms $((drawn + (well - began) / 1000)) $((drawn + (well - began) / 1000))
}

# Kinds in an order drawn anew each time that all have had their turn
next_kind() {
    local i
    if [ ${#deck[@]} = 0 ]; then
        deck=("${WANTED[@]}")
    fi
    draw 0 $((${#deck[@]} - 1))
    i=$drawn
    kind=${deck[i]}
    deck=("${deck[@]:0:i}" "${deck[@]:i+1}")
}

LAB_ANNOUNCE='{}' # as at a real edge, see restart.sh
LAB_REPORT_PORT=7800
LAB_MORE_SERVICES="  - name: datagrams
    ipv4: $LAB_IPV4
    ipv6: $LAB_IPV6
    protocol: udp
    port: 82"

RANDOM=$SEED
deck=()
echo "$FAULTS faults, seed $SEED"
test_lab
engine
clients
for ((n = 1; n <= FAULTS; n++)); do
    next_kind
    fault "$kind"
    printf '\r%d of %d: %-24s' "$n" "$FAULTS" "$kind" >&2
done
printf '\r%-40s\r' '' >&2
sleep 1
for node in edge gate; do
    echo "verdicts of $node: $(lab_cli "$node" show counters --json |
        jq -c '.verdicts | with_entries(select(.value > 0))')"
done
for name in load hold datagrams; do
    lab_stop "$name" INT
done

[ ! -e "$LAB_DIR/floods.out" ] || jq -rs '"route updates: \(map(.sent / .seconds) | add / length |
    round)/s, acknowledged within \(map(.p50_us) | add / length | round) us (p50), " +
    "\(map(.p99_us) | max) us (p99, worst)"' "$LAB_DIR/floods.out"
"$LAB_TOP/scripts/bench/faults.py" "$LAB_DIR" "$HELD" "$LAB_DIR/faults.json"
[ -z "$JSON" ] || cp "$LAB_DIR/faults.json" "$JSON"
if [ -n "$PNG" ]; then
    gnuplot -e "tsv='$LAB_DIR/faults.tsv'; out='$PNG'" "$LAB_TOP/scripts/bench/faults.gp"
fi
while IFS=$'\t' read -r kind broken allowed; do
    check_number "$kind: foreign connections broken" "$broken" "<=" "$allowed" connections
done < <(jq -r '.[] | [.fault, .foreign_connections_broken, .allowed] | @tsv' "$LAB_DIR/faults.json")
test_end
