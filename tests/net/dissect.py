#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scapy as independent judge of captured packets of the overlay.

dissect.py FILE.pcap: each packet's layers, lengths and checksums are recomputed; prints a
JSON object of counts, with what was wrong in "faults".
"""
import collections
import json
import sys

from scapy.all import Ether, IP, IPv6, TCP, IPv6ExtHdrSegmentRouting, rdpcap

OUTER_SOURCE = 'fc00:e::1'


def checksum_fault(packet, layer):
    """None if the field is what scapy computes for the same bytes."""
    again = packet.copy()
    had = again[layer].chksum
    del again[layer].chksum
    is_now = again.__class__(bytes(again))[layer].chksum
    return None if had == is_now else f'{layer.__name__} checksum {had:#x}, not {is_now:#x}'


def faults_of(outer, seen):
    inner_bytes = bytes(outer.payload)
    if outer.src != OUTER_SOURCE:
        yield f'outer source {outer.src}'
    if not 0 < outer.hlim <= 255:
        yield f'outer hop limit {outer.hlim}'
    if outer.plen != len(inner_bytes):
        yield f'outer length {outer.plen}, {len(inner_bytes)} present'
    following = outer.nh
    if following == 43:
        header = outer[IPv6ExtHdrSegmentRouting]
        seen['srh'] += 1
        # RFC 8754 section 2: length in 8 octets without the first; reduced: one segment less
        if header.len != 2 * len(header.addresses) or header.lastentry != len(header.addresses) - 1:
            yield f'SRH length {header.len} and last entry {header.lastentry}'
        if not 0 <= header.segleft <= header.lastentry + 1:
            yield f'SRH segments left {header.segleft}'
        if header.tag or header.protected or header.oam or header.alert or header.hmac:
            yield 'SRH flags or tag set'
        following = header.nh
        inner_bytes = inner_bytes[8 + 8 * header.len:]
    if following not in (4, 41):
        yield f'next header {following}'
        return
    inner = (IP if following == 4 else IPv6)(inner_bytes)
    seen['inner4' if following == 4 else 'inner6'] += 1
    length = inner.len if following == 4 else inner.plen + 40
    if length != len(inner_bytes):
        yield f'inner length {length}, {len(inner_bytes)} present'
    if following == 4:
        fault = checksum_fault(inner, IP)
        if fault:
            yield fault
    if TCP in inner:
        fault = checksum_fault(inner, TCP)
        if fault:
            yield fault
        flow = (inner.src, inner.dst, inner[TCP].sport, inner[TCP].dport)
        label = seen['labels'].setdefault(flow, (outer.fl, outer.dst))
        if label != (outer.fl, outer.dst):
            yield f'flow {flow} had label and destination {label}, now {outer.fl}, {outer.dst}'


def main():
    seen = collections.Counter()
    seen['labels'] = {}
    faults = []
    for number, frame in enumerate(rdpcap(sys.argv[1])):
        outer = Ether(bytes(frame))[IPv6]
        seen['packets'] += 1
        faults += [f'packet {number}: {fault}' for fault in faults_of(outer, seen)]
    labels = seen.pop('labels')
    seen['flows'] = len(labels)
    seen['labels'] = len({label for label, _ in labels.values()})
    print(json.dumps({**seen, 'faults': faults[:5]}))


main()
