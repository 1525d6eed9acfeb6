#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scapy as independent judge of captured packets of the overlay.

dissect.py FILE.pcap: each packet's layers, lengths and checksums are recomputed; prints a
JSON object of counts, with what was wrong in "faults".
"""
import collections
import json
import sys

from scapy.all import Ether, IP, IPv6, TCP, UDP, IPv6ExtHdrSegmentRouting, rdpcap
from scapy.layers.vxlan import VXLAN

OUTER_SOURCE, OUTER_SOURCE4, VNI = 'fc00:e::1', '10.6.0.1', 7


def checksum_fault(packet, layer):
    """None if the field is what scapy computes for the same bytes."""
    again = packet.copy()
    had = again[layer].chksum
    del again[layer].chksum
    is_now = again.__class__(bytes(again))[layer].chksum
    return None if had == is_now else f'{layer.__name__} checksum {had:#x}, not {is_now:#x}'


def vxlan_mac(address):
    return '02:73:' + ':'.join(f'{int(part):02x}' for part in address.split('.'))


def faults_of_vxlan(outer, seen):
    """RFC 7348 section 5; the UDP checksum is 0"""
    udp, vxlan = outer[UDP], outer[VXLAN]
    frame = Ether(bytes(vxlan.payload))
    if outer.src != OUTER_SOURCE4 or outer.flags != 'DF' or not 0 < outer.ttl <= 255:
        yield f'outer source {outer.src}, flags {outer.flags}, TTL {outer.ttl}'
    if udp.chksum != 0 or udp.dport != 4789 or udp.sport < 49152:
        yield f'UDP checksum {udp.chksum}, ports {udp.sport} {udp.dport}'
    if outer.len != len(bytes(outer)) or udp.len != len(bytes(outer)) - 20:
        yield f'outer lengths {outer.len} {udp.len}, {len(bytes(outer))} present'
    if vxlan.flags != 8 or vxlan.vni != VNI or vxlan.reserved1 or vxlan.reserved2:
        yield f'VXLAN flags {vxlan.flags}, VNI {vxlan.vni}'
    if frame.src != vxlan_mac(outer.src) or frame.dst != vxlan_mac(outer.dst):
        yield f'inner MACs {frame.src} {frame.dst}'
    fault = checksum_fault(outer.copy(), IP)
    if fault:
        yield fault
    yield from faults_of_inner(bytes(frame.payload), frame.type == 0x800, (udp.sport, outer.dst),
                               seen)


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
    yield from faults_of_inner(inner_bytes, following == 4, (outer.fl, outer.dst), seen)


def faults_of_inner(inner_bytes, ipv4, entropy, seen):
    """`entropy`: what routers may spread by, the same for every packet of a flow"""
    inner = (IP if ipv4 else IPv6)(inner_bytes)
    seen['inner4' if ipv4 else 'inner6'] += 1
    length = inner.len if ipv4 else inner.plen + 40
    if length != len(inner_bytes):
        yield f'inner length {length}, {len(inner_bytes)} present'
    if ipv4:
        fault = checksum_fault(inner, IP)
        if fault:
            yield fault
    if TCP in inner:
        fault = checksum_fault(inner, TCP)
        if fault:
            yield fault
        flow = (inner.src, inner.dst, inner[TCP].sport, inner[TCP].dport)
        label = seen['labels'].setdefault(flow, entropy)
        if label != entropy:
            yield f'flow {flow} had entropy and destination {label}, now {entropy}'


def main():
    seen = collections.Counter()
    seen['labels'] = {}
    faults = []
    for number, frame in enumerate(rdpcap(sys.argv[1])):
        packet = Ether(bytes(frame))
        found = faults_of_vxlan(packet[IP], seen) if packet.type == 0x800 else \
            faults_of(packet[IPv6], seen)
        seen['packets'] += 1
        faults += [f'packet {number}: {fault}' for fault in found]
    labels = seen.pop('labels')
    seen['flows'] = len(labels)
    seen['labels'] = len({label for label, _ in labels.values()})
    print(json.dumps({**seen, 'faults': faults[:5]}))


main()
