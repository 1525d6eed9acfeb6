#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Malformed packets for a dataplane, made by scapy.

hostile.py make edge|gate FILE.pcap [SEED]: writes the corpus of that role, at least 10,000 frames.
hostile.py send edge|gate FILE.pcap INTERFACE MAC [RATE]: sends it to MAC, RATE packets a second,
prints {"sent": how many left, "ours": how many of them the XDP program must take}.
hostile.py flows ADDRESS PORT INTERFACE MAC COUNT RATE: SYNs of sources drawn anew for each.
hostile.py stream ADDRESS PORT COUNT RATE | count ADDRESS PORT COUNT: numbered datagrams, well-formed;
the receiver prints how many different ones came, once all have or none has for 2 s.
"""
import json
import random
import socket
import struct
import sys
import time

from scapy.all import (Dot1AD, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoRequest,
                       ICMPv6PacketTooBig, IP, IPOption_RR, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                       IPv6ExtHdrSegmentRouting, TCP, UDP, fragment, fragment6, RawPcapReader,
                       RawPcapWriter)
from scapy.layers.vxlan import VXLAN

# Nobody's, so that no kernel answers what a server replies and is counted too.
CLIENT4, CLIENT6 = '10.1.0.77', 'fd00:1::77'
SERVICE4, SERVICE6 = '192.0.2.80', '2001:db8:80::80'
SID, EDGE = 'fc00:c:0:46::1', 'fc00:e::1'
VTEP, VNI, VTEP_MAC = '10.2.3.2', 7, '02:73:0a:02:03:02'  # the gateway's, for VXLAN
PORTS = dict(sport=9, dport=80)  # no connection of the tests comes from port 9


def four(**fields):
    return IP(**{'src': CLIENT4, 'dst': SERVICE4, **fields})


def six(**fields):
    return IPv6(**{'src': CLIENT6, 'dst': SERVICE6, **fields})


def srh(segleft=0, segments=1, **fields):
    return IPv6ExtHdrSegmentRouting(addresses=[SID] * segments, segleft=segleft,
                                    lastentry=segments - 1, **fields)


def good_inner():
    """Well-formed packets, one of each shape."""
    tcp, udp = TCP(**PORTS, flags='A', options=[('MSS', 1460)]), UDP(**PORTS)
    quote4 = bytes(IP(src=SERVICE4, dst=CLIENT4) / TCP(sport=80, dport=9))[:28]
    quote6 = bytes(IPv6(src=SERVICE6, dst=CLIENT6) / TCP(sport=80, dport=9))
    return [
        four() / tcp / b'payload', four() / udp / b'payload', six() / tcp / b'payload',
        six() / udp / b'payload', four(options=[IPOption_RR(length=11, pointer=4)]) / tcp,
        six() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / srh() / IPv6ExtHdrFragment() / tcp,
        six() / IPv6ExtHdrRouting(type=2, segleft=0) / udp,
        four() / ICMP() / b'ping', six() / ICMPv6EchoRequest(data=b'ping'),
        four() / ICMP(type=3, code=4, nexthopmtu=1400) / quote4,
        six() / ICMPv6PacketTooBig(mtu=1400) / quote6, six() / ICMPv6DestUnreach() / quote6,
        four(ttl=1) / tcp, six(hlim=0) / tcp, four(ttl=0) / udp,
    ]


def wrapped(packet, **fields):
    outer = IPv6(src=EDGE, dst=SID, **fields)
    return [outer / packet, outer / srh() / packet, outer / srh(segments=3) / packet,
            outer / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / srh() / packet, vxlan(packet)]


def vxlan(packet, **fields):
    return IP(src='10.4.0.9', dst=VTEP, **fields) / UDP(sport=50000, dport=4789, chksum=0) / \
        VXLAN(vni=VNI, flags=8) / Ether(src='02:73:0a:04:00:09', dst=VTEP_MAC) / packet


def good(role):
    inner = [IP(bytes(p)) if bytes(p)[0] >> 4 == 4 else IPv6(bytes(p)) for p in good_inner()]
    if role == 'edge':
        return inner
    return [w for p in inner for w in wrapped(p)]


def headers(packet):
    """Offsets of each header in the bytes of a packet, and where the last one ends."""
    offsets, at = [], 0
    while packet and packet.name not in ('Raw', 'Padding', 'NoPayload'):
        offsets.append((at, packet.name))
        at += len(packet) - len(packet.payload)
        packet = packet.payload
    return offsets, at


LENGTHS = {'IP': [(0, 1), (2, 2)], 'IPv6': [(4, 2)], 'TCP': [(12, 1)], 'UDP': [(4, 2)]}


def wrong_lengths(packet):
    """Every length field too small and too large, by one, by eight, and at the extremes."""
    data = bytes(packet)
    for at, name in headers(packet)[0]:
        fields = LENGTHS.get(name, [(1, 1)] if 'IPv6 Ext' in name or 'Option' in name else [])
        for offset, size in fields:
            if at + offset + size > len(data):
                continue
            was = int.from_bytes(data[at + offset:at + offset + size], 'big')
            limit = 256 ** size
            for value in {was - 1, was + 1, was - 8, was + 8, was - 16, was + 16, 0, 1, 7, 8,
                          limit - 1, limit // 2, was ^ 1, was ^ (limit >> 1)}:
                wrong = data[:at + offset] + (value % limit).to_bytes(size, 'big') + \
                    data[at + offset + size:]
                yield wrong
                if name == 'IP':  # else the checksum speaks first
                    yield wrong[:at] + rechecked(wrong[at:])


def truncated(packet):
    data = bytes(packet)
    for n in range(len(data)):
        yield data[:n]


def truncated_knowingly(packet):
    """Cut at each byte, and the outermost length says so, with a right checksum."""
    data = bytes(packet)
    for n in range(40 if data[0] >> 4 == 6 else 20, len(data)):
        yield relength(data[:n])


def relength(data):
    if data[0] >> 4 == 6:
        return data[:4] + struct.pack('>H', len(data) - 40) + data[6:]
    return rechecked(data[:2] + struct.pack('>H', len(data)) + data[4:])


def rechecked(data):
    """An IPv4 packet with the header checksum that it should have, if it can have one."""
    head, length = data[:10] + b'\0\0' + data[12:], (data[0] & 15) * 4
    if length < 20 or length > len(data):
        return head
    return head[:10] + checksum(head[:length]) + head[12:]


def checksum(data):
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data[:len(data) // 2 * 2]))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack('>H', ~total & 0xffff)


def segments():
    """SRHs whose segments left, last entry and length disagree with each other and the list."""
    for segments_listed in range(4):
        for left in (0, 1, 2, 3, 4, 127, 255):
            for last in (0, 1, 2, 3, 255):
                for length in (None, 0, 1, 2, 255):
                    header = IPv6ExtHdrSegmentRouting(addresses=[SID] * segments_listed,
                                                      segleft=left, lastentry=last, len=length)
                    yield IPv6(src=EDGE, dst=SID) / header / four() / UDP(**PORTS)
    for routing_type in range(256):
        yield IPv6(src=EDGE, dst=SID) / IPv6ExtHdrRouting(type=routing_type, segleft=1) / four()


def nested():
    """Tunnels in tunnels: to us, to others, families mixed up, up to 12 deep."""
    for depth in range(1, 13):
        for innermost in (four() / TCP(**PORTS), six() / UDP(**PORTS)):
            for outer in (lambda p: IPv6(src=EDGE, dst=SID) / p, lambda p: six() / p,
                          lambda p: four() / p, lambda p: IPv6(src=EDGE, dst=SID) / srh() / p,
                          vxlan, lambda p: IPv6(src=EDGE, dst=SID) / vxlan(p)):
                packet = innermost
                for _ in range(depth):
                    packet = outer(packet)
                yield packet
    for next_header in range(256):
        yield IPv6(src=EDGE, dst=SID, nh=next_header) / bytes(four() / TCP(**PORTS))
        yield six(nh=next_header) / bytes(TCP(**PORTS))
        yield four(proto=next_header) / bytes(UDP(**PORTS))


def fragments():
    """In order, reversed, doubled, overlapping, tiny, too long, without an end or a beginning."""
    payload = b'y' * 512
    for identification in range(24):
        parts = fragment(four(id=identification) / UDP(**PORTS) / payload, 64)
        parts6 = fragment6(six() / IPv6ExtHdrFragment(id=identification) / UDP(**PORTS) / payload,
                           112)
        for train in (parts, parts6):
            order = [train, train[::-1], train + train, train[1:], train[:-1]][identification % 5]
            yield from order
    for offset in (0, 1, 2, 8, 100, 8189, 8190, 8191):
        for more in (0, 1):
            for size in (0, 1, 7, 8, 9, 24, 64):
                data = bytes(UDP(**PORTS) / payload)[:size]
                yield four(id=77, frag=offset, flags='MF' if more else 0, proto=17) / data
                yield six() / IPv6ExtHdrFragment(id=77, offset=offset, m=more, nh=17) / data
                yield six() / IPv6ExtHdrFragment(id=78, offset=offset, m=more, nh=6) / data


def corrupted(packet, generator, count):
    data = bytes(packet)
    for _ in range(count):
        at = generator.randrange(len(data))
        wrong = data[:at] + bytes([generator.randrange(256)]) + data[at + 1:]
        yield rechecked(wrong) if wrong[0] >> 4 == 4 and generator.random() < 0.5 else wrong


def tags():
    ether = Ether(src='02:00:00:00:00:99', dst='02:00:00:00:00:98')
    for packet in (four() / TCP(**PORTS), six() / UDP(**PORTS), IPv6(src=EDGE, dst=SID) / four()):
        for head in (ether / Dot1Q(vlan=7), ether / Dot1AD(vlan=7) / Dot1Q(vlan=8),
                     ether / Dot1Q() / Dot1Q() / Dot1Q()):
            data = bytes(head / packet)
            for n in range(14, len(data)):
                yield data[:n]


def corpus(role, seed):
    """IP packets, and at last whole frames."""
    generator = random.Random(seed)
    packets = []
    for packet in good(role):
        packets += truncated(packet)
        packets += truncated_knowingly(packet)
        packets += wrong_lengths(packet)
        packets += corrupted(packet, generator, 400 if role == 'edge' else 100)
    packets += [bytes(p) for p in segments()]
    packets += [bytes(p) for p in nested()]
    inner = [bytes(p) for p in fragments()]
    packets += inner if role == 'edge' else [
        bytes(IPv6(src=EDGE, dst=SID, nh=4 if p[0] >> 4 == 4 else 41) / p) for p in inner]
    frames = [ethernet(p) + p for p in packets] + list(tags())
    generator.shuffle(frames)
    return frames


def ethernet(packet):
    kind = 0x86dd if packet and packet[0] >> 4 == 6 else 0x0800
    return bytes(Ether(src='02:00:00:00:00:99', dst='02:00:00:00:00:98', type=kind))


def is_ours(frame, role):
    """As steer.bpf.c decides, so that it is known how many packets must be counted."""
    if len(frame) < 14:
        return False
    kind, at = struct.unpack('>H', frame[12:14])[0], 14
    for _ in range(2):
        if kind not in (0x8100, 0x88a8):
            break
        if len(frame) < at + 4:
            return False
        kind, at = struct.unpack('>H', frame[at + 2:at + 4])[0], at + 4
    if kind == 0x0800 and len(frame) >= at + 20:
        return frame[at + 16:at + 20] == socket.inet_aton(SERVICE4) or \
            (role == 'gate' and is_our_vxlan(frame[at:]))
    if kind == 0x86dd and len(frame) >= at + 40:
        destination = frame[at + 24:at + 40]
        sid = socket.inet_pton(socket.AF_INET6, SID)
        return destination == socket.inet_pton(socket.AF_INET6, SERVICE6) or \
            (role == 'gate' and destination[:8] == sid[:8])
    return False


def is_our_vxlan(ip):
    udp = ip[(ip[0] & 15) * 4:]
    return ip[9] == 17 and not (ip[6] & 0x3f or ip[7]) and len(udp) >= 16 and \
        udp[2:4] == struct.pack('>H', 4789) and udp[12:15] == struct.pack('>I', VNI)[1:] and \
        ip[16:20] == socket.inet_aton(VTEP)


def send(role, path, interface, mac, rate):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((interface, 0))
    target = bytes.fromhex(mac.replace(':', ''))
    sent = ours = 0
    began = time.monotonic()
    for data, _ in RawPcapReader(path):
        frame = target + data[6:]
        try:
            link.send(frame)
        except OSError:  # longer than the link carries, or too short for it
            continue
        sent += 1
        ours += is_ours(frame, role)
        ahead = began + sent / rate - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
    print(json.dumps({'sent': sent, 'ours': ours}))


def make(role, path, seed):
    frames = corpus(role, seed)
    writer = RawPcapWriter(path, linktype=1)
    for frame in frames:
        writer.write(frame)
    writer.close()
    print(json.dumps({'packets': len(frames), 'seed': seed}))


def flows(address, port, interface, mac, count, rate):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((interface, 0))
    frame = bytearray(ethernet(b'\x45') + bytes(four(dst=address) / TCP(sport=1, dport=port)))
    frame[:6] = bytes.fromhex(mac.replace(':', ''))
    generator, began = random.Random(), time.monotonic()
    for number in range(count):
        frame[26:30] = struct.pack('>I', 0x0a800000 | generator.getrandbits(22))
        frame[34:36] = struct.pack('>H', generator.randrange(1024, 65536))
        frame[14:] = rechecked(bytes(frame[14:34])) + frame[34:]
        link.send(frame)
        ahead = began + number / rate - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)


def udp(address):
    return socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)


def stream(address, port, count, rate):
    link, began = udp(address), time.monotonic()
    for number in range(count):
        if number % 50 == 0:  # a new flow
            link = udp(address)
        link.sendto(struct.pack('>I', number), (address, port))
        time.sleep(max(0, began + number / rate - time.monotonic()))


def count(address, port, expected):
    link, seen = udp(address), set()
    link.bind((address, port))
    print('ready', flush=True)
    try:
        while len(seen) < expected:
            seen.add(link.recv(64))
            link.settimeout(2)
    except TimeoutError:
        pass
    print(len(seen))


if sys.argv[1] == 'stream':
    stream(sys.argv[2], *map(int, sys.argv[3:]))
elif sys.argv[1] == 'flows':
    flows(sys.argv[2], int(sys.argv[3]), *sys.argv[4:6], *map(int, sys.argv[6:]))
elif sys.argv[1] == 'count':
    count(sys.argv[2], *map(int, sys.argv[3:]))
elif sys.argv[1] == 'make':
    make(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 20261123)
else:
    send(*sys.argv[2:6], int(sys.argv[6]) if len(sys.argv) > 6 else 10000)
