#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# HTTP to a service address through the engine: small requests, 64 MiB up and down, IPv4 and IPv6,
# to a site that the kernel decapsulates (a) and to our gateway (c).

. "$(dirname "$0")/../../scripts/lab/checks.sh"

BYTES=$((64 << 20))

checksum() {
    b2sum -l 256 "$1" | cut -d' ' -f1
}

# transfer SITE ADDRESS
transfer() {
    local site=$1 url="http://$2" sum header
    check_equal "small request to $url answered by $site" \
        "$(lab_in client curl -s --max-time 5 "$url/work" | jq -r .site)" "$site"
    sum=$(lab_in client curl -s --max-time 30 -T "$LAB_DIR/upload" "$url/upload") || sum="curl: $?"
    check_equal "64 MiB upload to $site by $url" "$sum" "$(checksum "$LAB_DIR/upload")"
    lab_in client curl -s --max-time 30 -D "$LAB_DIR/header" -o "$LAB_DIR/download" \
        "$url/download?bytes=$BYTES" || true
    header=$(tr -d '\r' <"$LAB_DIR/header" | sed -n 's/^X-Checksum: //p')
    check_equal "64 MiB download from $site by $url" "$(checksum "$LAB_DIR/download")" "$header"
    check_equal "the download's site" \
        "$(tr -d '\r' <"$LAB_DIR/header" | sed -n 's/^X-Site: //p')" "$site"
    rm -f "$LAB_DIR/download" "$LAB_DIR/header"
}

test_lab
LAB_MEAN_MS=5 lab_engine_up 4 4 4
head -c "$BYTES" /dev/urandom >"$LAB_DIR/upload"
for site in a c; do
    lab_steer_to "$site"
    transfer "$site" "$LAB_IPV4"
    transfer "$site" "[$LAB_IPV6]"
done
test_end
