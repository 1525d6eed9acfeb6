#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What goes in and what comes out, byte by byte, with scapy as the oracle.

forward.py edge LAB | gate LAB | pieces LAB | hops LAB: sends packets into that node of the lab and compares what
leaves it with what scapy makes of the same packet by the RFCs; prints a JSON object: how many packets,
how many of them must not come out, and what was wrong in "faults". pieces: packets without DF that do
not fit, with options. hops: just sends 50 packets with 20 hops left to the edge.
"""
import ctypes
import json
import os
import select
import socket
import sys
import time

from scapy.all import (Dot1AD, Dot1Q, Ether, IP, IPOption, IPOption_NOP, IPOption_RR,
                       IPOption_Router_Alert, IPOption_Security, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                       IPv6ExtHdrSegmentRouting, PadN, RouterAlert, TCP, UDP)
from scapy.layers.vxlan import VXLAN

# Nobody's addresses, so that no kernel answers what a server replies.
CLIENT4, CLIENT6 = '10.1.0.77', 'fd00:1::77'
SERVICE4, SERVICE6 = '192.0.2.80', '2001:db8:80::80'
EDGE, SITE_A4, SITE_A6, GATE = 'fc00:e::1', 'fc00:a:0:4::', 'fc00:a:0:6::', 'fc00:c:0:46::1'
NOT_ECT, ECT1, ECT0, CE, DROP = 0, 1, 2, 3, None
# RFC 6040 figure 4: inner -> outer -> what goes on
ECN = {NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: DROP},
       ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
       ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
       CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE}}
SO_RCVBUFFORCE, PACKET_OUTGOING = 33, 4
COPIED = 0x80  # RFC 791 section 3.1: of an option's type


class Wire:
    """A packet socket on an interface of another network namespace."""

    def __init__(self, lab, role, interface):
        here = os.open('/proc/self/ns/net', os.O_RDONLY)
        there = os.open(f'/run/netns/suanlu-{lab}-{role}', os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(there, 0) == 0
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self.link.bind((interface, 0))
        assert libc.setns(here, 0) == 0
        os.close(here)
        os.close(there)

    def frames(self, what, seconds):
        """What `what` makes of the frames that come in, until none that counts has for so long."""
        until = time.monotonic() + seconds
        while select.select([self.link], [], [], max(0, until - time.monotonic()))[0]:
            data, address = self.link.recvfrom(65536)
            found = None if address[2] == PACKET_OUTGOING else what(data)
            if found is not None:
                until = time.monotonic() + seconds
                yield found


def four(payload, **fields):
    return IP(**{'src': CLIENT4, 'dst': SERVICE4, 'ttl': 64, 'id': 1, **fields}) / payload


def six(payload, **fields):
    return IPv6(**{'src': CLIENT6, 'dst': SERVICE6, 'hlim': 64, **fields}) / payload


def payloads():
    yield TCP(sport=9, dport=80, flags='A') / b'odd'
    yield UDP(sport=9, dport=82) / b''
    yield UDP(sport=9, dport=82) / (b'x' * 1000)


def shapes():
    """IP packets to a service."""
    for tos in range(256):
        yield four(TCP(sport=9, dport=80, flags='A'), tos=tos)
        yield six(TCP(sport=9, dport=80, flags='A'), tc=tos, fl=tos * 4001)
    for payload in payloads():
        yield four(payload)
        yield six(payload)
        for hops in (2, 3, 128, 255):
            yield four(payload, ttl=hops)
            yield six(payload, hlim=hops)
        for options in ([IPOption_Router_Alert()], [IPOption_RR(length=39, pointer=4)],
                        [IPOption_NOP()] * 40, [IPOption_Security(), IPOption(b'\x44\x08\x05\x00')]):
            yield four(payload, options=options)
        srh = IPv6ExtHdrSegmentRouting(addresses=[GATE], segleft=0, lastentry=0)
        for chain in (IPv6ExtHdrHopByHop(options=[RouterAlert()]), IPv6ExtHdrDestOpt(), srh,
                      IPv6ExtHdrRouting(type=2, segleft=0), IPv6ExtHdrFragment(id=9),
                      IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / srh / IPv6ExtHdrFragment() /
                      IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 200)])):
            yield six(chain / payload)
    for flags in ('DF', 'evil', 'DF+evil'):
        yield four(UDP(sport=9, dport=82, chksum=0), flags=flags)
    for number in range(400):  # the checksum's repair has its corners
        yield four(UDP(sport=9, dport=82), id=(number * 163 + 1) & 0xffff, ttl=2 + number % 254)


def framed(packet):
    """Bytes of a frame, its addresses aside, as a host or a switch may send it."""
    ether = Ether(dst='02:00:00:00:00:01', src='02:00:00:00:00:02')
    plain = bytes(ether / packet)[12:]
    yield plain
    yield plain.ljust(48, b'\xaa')  # padded to the least frame
    for tags in (Dot1Q(vlan=7), Dot1Q(vlan=0, prio=5), Dot1AD(vlan=7) / Dot1Q(vlan=8),
                 Dot1Q(vlan=7) / Dot1Q(vlan=8)):
        yield bytes(ether / tags / packet)[12:]


def forwarded(packet):
    """The inner packet a hop further (RFC 1812 section 5.3.1), its checksum computed anew."""
    onward = packet.copy()
    if onward.version == 4:
        onward.ttl -= 1
        del onward.chksum
    else:
        onward.hlim -= 1
    return bytes(onward)


def encapsulated(packet):
    """H.Encaps.Red with one segment; the flow label is not known before."""
    inner, is_four = forwarded(packet), packet.version == 4
    return bytes(IPv6(src=EDGE, dst=SITE_A4 if is_four else SITE_A6, hlim=64, fl=0,
                      tc=packet.tos if is_four else packet.tc, nh=4 if is_four else 41) / inner)


def without_label(data):
    return data[:1] + bytes([data[1] & 0xf0]) + b'\0\0' + data[4:]


def cases_edge():
    seen = set()
    for packet in shapes():
        packet = packet.__class__(bytes(packet))
        plain = bytes(packet) not in seen
        seen.add(bytes(packet))
        frames = list(framed(packet))
        for frame in frames if len(seen) % 8 == 1 and plain else frames[:1]:
            yield frame, encapsulated(packet)


def inner_four(ecn):
    return four(UDP(sport=9, dport=82) / b'abc', tos=0xb8 | ecn)


def inner_six(ecn):
    return six(TCP(sport=9, dport=80, flags='A') / b'abc', tc=0x28 | ecn)


def cases_gate():
    """The outer DSCP and hop limit do not matter inside (RFC 2983, pipe model for those)."""
    for outer in ECN:
        head = IPv6(src=EDGE, dst=GATE, tc=0x40 | outer, hlim=1, fl=99)
        srh = IPv6ExtHdrSegmentRouting(addresses=[GATE], segleft=0, lastentry=0)
        vxlan = IP(src='10.4.0.9', dst='10.2.3.2', tos=0x40 | outer, ttl=1) / \
            UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=7, flags=8) / \
            Ether(src='02:73:0a:04:00:09', dst='02:73:0a:02:03:02')
        for inner in ECN:
            goes = ECN[inner][outer]
            for make in (inner_four, inner_six):
                due = None if goes is DROP else forwarded(make(goes))
                for kind, way in ((b'\x86\xdd', head), (b'\x86\xdd', head / srh), (b'\x08\0', vxlan)):
                    yield kind + bytes(way / make(inner)), due


def compare(cases, out_of, into, mac, what, mask):
    """Sends each case; what comes out must be what is due, in that order."""
    due, faults, received, count = [], [], [], 0
    for frame, expected in cases:
        into.link.send(mac + b'\x02\0\0\0\0\x99' + frame)
        count += 1
        if expected is not None:
            due.append((frame, expected))
        if count % 64 == 0:
            received += out_of.frames(what, 0.02)
    received += out_of.frames(what, 0.5)
    for (frame, expected), got in zip(due, received):
        if mask(got) != mask(expected):
            faults.append(f'{frame.hex()} became {got.hex()}, due {expected.hex()}')
    if len(received) != len(due):
        faults.append(f'{len(received)} came out, {len(due)} are due')
    return {'packets': count, 'dropped': count - len(due), 'faults': faults[:3]}


def mac_of(lab, role, interface):
    text = os.popen(f'ip -n suanlu-{lab}-{role} -br link show {interface}').read().split()[2]
    return bytes.fromhex(text.replace(':', ''))


def overlay(frame):
    """Our outer packets; the label must not be 0 (RFC 6437)."""
    if frame[12:14] != b'\x86\xdd' or frame[20] not in (4, 41) or \
            frame[22:38] != socket.inet_pton(socket.AF_INET6, EDGE):
        return None
    return frame[14:] if frame[15] & 15 or frame[16:18] != b'\0\0' else b'no flow label'


def delivered(frame):
    if frame[12:14] == b'\x08\0' and frame[26:30] == socket.inet_aton(CLIENT4):
        return frame[14:]
    if frame[12:14] == b'\x86\xdd' and \
            frame[22:38] == socket.inet_pton(socket.AF_INET6, CLIENT6):
        return frame[14:]
    return None


def options_of(header):
    """Types and bytes of the options, no-ops left out."""
    at, found = 20, []
    while at < len(header) and header[at]:
        if header[at] == 1:
            at += 1
            continue
        found.append(header[at:at + header[at + 1]])
        at += header[at + 1]
    return found


def check_pieces(packet, pieces):
    """RFC 791 section 3.2: each a good packet, options copied as they ask, the data whole."""
    data, due = b'', bytes(packet.payload)
    options = options_of(bytes(packet)[:packet.ihl * 4])
    for piece in pieces:
        head = piece[:(piece[0] & 15) * 4]
        ip = IP(piece)
        again = ip.copy()
        del again.chksum
        if IP(bytes(again)).chksum != ip.chksum:
            yield 'checksum'
        if ip.frag * 8 != len(data) or bool(ip.flags.MF) != (len(data) + len(piece) - len(head) <
                                                            len(due)):
            yield f'offset {ip.frag}, flags {ip.flags}'
        wanted = options if not data else [o for o in options if o[0] & COPIED]
        if options_of(head) != wanted:
            yield f'options {options_of(head)} instead of {wanted}'
        if len(piece) > 1460 or ip.len != len(piece) or ip.ttl != packet.ttl - 1 or \
                (ip.id, ip.tos) != (packet.id, packet.tos):
            yield f'header {head.hex()}'
        data += piece[len(head):]
    if data != due:
        yield f'{len(data)} bytes of data instead of {len(due)}'


def run_pieces(lab):
    out_of, into = Wire(lab, 'router', 'e0'), Wire(lab, 'client', 'e0')
    mac, faults, count = mac_of(lab, 'edge', 'c0'), [], 0
    mixed = [IPOption_RR(length=11, pointer=4), IPOption_Router_Alert(), IPOption_NOP(),
             IPOption_RR(length=7, pointer=4)]
    for options in ([], [IPOption_Router_Alert()], [IPOption_RR(length=39, pointer=4)], mixed):
        for size in (1461, 1480, 1500):
            packet = four(UDP(sport=9, dport=82), id=7 + count, tos=0x2a, options=options)
            packet = IP(bytes(packet / (b'z' * (size - len(packet)))))
            into.link.send(mac + b'\x02\0\0\0\0\x99\x08\0' + bytes(packet))
            pieces = [data[40:] for data in out_of.frames(overlay, 0.05)]
            faults += [f'{size} bytes, {options}: {fault}' for fault in check_pieces(packet, pieces)]
            count += 1
    return {'packets': count, 'faults': faults[:3]}


def run_hops(lab):
    into, mac = Wire(lab, 'client', 'e0'), mac_of(lab, 'edge', 'c0')
    for port in range(50):
        for kind, packet in ((b'\x08\0', four(UDP(sport=1000 + port, dport=82), ttl=20)),
                             (b'\x86\xdd', six(UDP(sport=1000 + port, dport=82), hlim=20))):
            into.link.send(mac + b'\x02\0\0\0\0\x99' + kind + bytes(packet))
    return {'packets': 100}


def main(what, lab):
    if what == 'hops':
        return run_hops(lab)
    if what == 'pieces':
        return run_pieces(lab)
    if what == 'edge':
        return compare(cases_edge(), Wire(lab, 'router', 'e0'), Wire(lab, 'client', 'e0'),
                       mac_of(lab, 'edge', 'c0'), overlay, without_label)
    return compare(cases_gate(), Wire(lab, 'c', 'g0'), Wire(lab, 'delay', 'sc'),
                   mac_of(lab, 'gate', 'o0'), delivered, lambda data: data)


print(json.dumps(main(*sys.argv[1:])))
