#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seed corpus of the fuzz targets: corpus.py [DIR], by default tests/fuzz/corpus.

One small file per thing that a parser tells apart. Packets are scapy's.
"""
import hashlib
import hmac
import pathlib
import socket
import struct
import sys

from scapy.all import (Dot1AD, Dot1Q, Ether, ICMP, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                       ICMPv6TimeExceeded, IP, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                       IPv6ExtHdrSegmentRouting, TCP, UDP, fragment, fragment6)
from scapy.layers.vxlan import VXLAN

TOP = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / 'corpus')
C4, S4, R4 = '203.0.113.5', '192.0.2.80', '198.51.100.1'
C6, S6, R6 = '2001:db8:1::5', '2001:db8:80::80', '2001:db8:ff::1'
SID = 'fc00:c:0:46::1'
ETHER = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')


def write(target, files):
    directory = TOP / target
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(bytes(data))


def packets():
    tcp, udp = TCP(sport=40000, dport=80), UDP(sport=40001, dport=53)
    srh = IPv6ExtHdrSegmentRouting(addresses=[SID], segleft=0, lastentry=0)
    four, six = IP(src=C4, dst=S4), IPv6(src=C6, dst=S6)
    vxlan = IP(src='10.6.0.1', dst='10.2.3.2', tos=3) / UDP(sport=50000, dport=4789, chksum=0) / \
        VXLAN(vni=7, flags=8) / Ether(src='02:73:0a:06:00:01', dst='02:73:0a:02:03:02')
    return {
        'tcp4': four / tcp, 'udp4': four / udp / b'abc', 'tcp6': six / tcp, 'udp6': six / udp,
        'options4': IP(src=C4, dst=S4, options=[IPOption_Router_Alert()]) / tcp,
        'tcp-options': four / TCP(options=[('MSS', 1460)]),
        'chain6': six / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / srh /
                  IPv6ExtHdrFragment(id=7) / IPv6ExtHdrDestOpt() / tcp,
        'routing6': six / IPv6ExtHdrRouting(type=2, segleft=0) / tcp,
        'sid4': IPv6(src='fc00:e::1', dst=SID, tc=3) / IP(src=C4, dst=S4, tos=2) / tcp,
        'sid4-not-ect': IPv6(src='fc00:e::1', dst=SID, tc=3) / IP(src=C4, dst=S4) / tcp,
        'vxlan4': vxlan / IP(src=C4, dst=S4, tos=2) / tcp,
        'vxlan6': vxlan / IPv6(src=C6, dst=S6) / udp,
        'sid6': IPv6(src='fc00:e::1', dst=SID, tc=1) / IPv6(src=C6, dst=S6, tc=2) / udp,
        'sid-srh': IPv6(src='fc00:e::1', dst=SID) / srh / four / udp,
        'sid-segments-left': IPv6(src='fc00:e::1', dst=SID) / IPv6ExtHdrSegmentRouting(
            addresses=[SID, 'fc00:a::1'], segleft=1, lastentry=1) / four / udp,
        'sid-segments-wrong': IPv6(src='fc00:e::1', dst=SID) / IPv6ExtHdrSegmentRouting(
            addresses=['fc00:a::1'], segleft=3, lastentry=0) / four / udp,
        'sid-reduced': IPv6(src='fc00:e::1', dst=SID) / IPv6ExtHdrSegmentRouting(
            addresses=['fc00:a::1'], segleft=1, lastentry=0) / four / udp,
        'esp6': IPv6(src=C6, dst=S6, nh=50) / b'12345678',
        'ttl1': IP(src=C4, dst=S4, ttl=1) / tcp,
    }


def messages():
    q4 = bytes(IP(src=S4, dst=C4, len=1500) / TCP(sport=80, dport=40000))[:28]
    o4 = bytes(IP(src=S4, dst=C4, len=1500, options=[IPOption_Router_Alert()]) /
               UDP(sport=53, dport=40001))[:32]
    q6 = bytes(IPv6(src=S6, dst=C6, plen=1460) / TCP(sport=80, dport=40000))
    x6 = bytes(IPv6(src=S6, dst=C6) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() /
               IPv6ExtHdrFragment(m=1) / UDP(sport=53, dport=40001, len=99, chksum=1))
    r6 = bytes(IPv6(src=S6, dst=C6) / IPv6ExtHdrRouting(type=2, segleft=0) /
               UDP(sport=53, dport=40001, len=99, chksum=1))
    late6 = bytes(IPv6(src=S6, dst=C6, nh=44) / IPv6ExtHdrFragment(nh=17, offset=9) / b'12345678')
    late4 = bytes(IP(src=S4, dst=C4, frag=9, proto=6) / b'12345678')
    four, six = IP(src=R4, dst=S4), IPv6(src=R6, dst=S6)
    return {
        'ping4': IP(src=C4, dst=S4) / ICMP(id=1, seq=2) / b'abcdefg',
        'ping6': IPv6(src=C6, dst=S6) / ICMPv6EchoRequest(id=1, seq=2, data=b'abcdefg'),
        'needed': four / ICMP(type=3, code=4, nexthopmtu=1400) / q4,
        'exceeded-options': four / ICMP(type=11) / o4,
        'problem': four / ICMP(type=12) / q4,
        'redirect': four / ICMP(type=5, code=1) / q4,
        'quoted-fragment': four / ICMP(type=3, code=1) / late4,
        'quoted-icmp': four / ICMP(type=3, code=1) / bytes(IP(src=S4, dst=C4) / ICMP()),
        'quoted-other': four / ICMP(type=3, code=1) / bytes(IP(src=C4, dst=S4) / TCP()),
        'quoted-short': four / ICMP(type=3, code=1) / q4[:22],
        'quoted-none': four / ICMP(type=3, code=1),
        'too-big': six / ICMPv6PacketTooBig(mtu=1400) / q6,
        'exceeded-chain': six / ICMPv6TimeExceeded() / x6,
        'exceeded-routing': six / ICMPv6TimeExceeded() / r6,
        'quoted-fragment6': six / ICMPv6TimeExceeded() / late6,
        'fragment-of-message': IP(src=R4, dst=S4, flags='MF') / ICMP(type=3, code=4) / q4,
        'large4': IP(src=C4, dst=S4, flags='DF') / TCP() / (b'x' * 700),
        'large6': IPv6(src=C6, dst=S6) / TCP() / (b'x' * 1300),
    }


def outer_errors():
    """About packets that we encapsulated; the first byte is the family."""
    four = IP(src=C4, dst=S4, len=1500) / TCP(sport=40000, dport=80)
    six = IPv6(src=C6, dst=S6, plen=1460) / IPv6ExtHdrFragment(m=1) / UDP(sport=40000, dport=80)
    late = IP(src=C4, dst=S4, frag=9, len=1500) / TCP()
    srh = IPv6ExtHdrSegmentRouting(addresses=[SID], segleft=1, lastentry=0)
    outer = dict(src='fc00:e::1', plen=1540, hlim=60, fl=7)
    vxlan = IP(src=R4, dst='10.0.0.7', len=1550) / UDP(sport=50000, dport=4789) / VXLAN(vni=7)

    def about(packet):
        return b'\1' + bytes(IPv6() / ICMPv6PacketTooBig(mtu=1400) / bytes(packet))[40:]

    def about4(packet):
        return b'\0' + bytes(IP() / ICMP(type=3, code=4, nexthopmtu=1400) / bytes(packet))[20:]

    return {
        'srv6-4': about(IPv6(dst=SID, nh=4, **outer) / four),
        'srv6-6': about(IPv6(dst=SID, nh=41, **outer) / six),
        'srh': about(IPv6(dst='fc00:f::1', nh=43, **outer) / srh / four),
        'late': about(IPv6(dst=SID, nh=4, **outer) / late),
        'other': about(IPv6(dst=SID, nh=17, **outer) / UDP()),
        'vxlan-4': about4(vxlan / Ether(type=0x800) / four),
        'vxlan-6': about4(vxlan / Ether(type=0x86dd) / six),
    }


def trains():
    """Fragments as tests/fuzz/fragment.c wants them: two bytes of length, one of time."""
    def train(parts, time=0):
        return b''.join(struct.pack('>HB', len(bytes(p)), time) + bytes(p) for p in parts)
    four = fragment(IP(src=C4, dst=S4, id=7) / UDP(sport=40001, dport=53) / (b'y' * 80), 32)
    six = fragment6(IPv6(src=C6, dst=S6) / IPv6ExtHdrFragment(id=9) /
                    TCP(sport=40000, dport=80) / (b'y' * 80), 80)
    chain = IPv6(src=C6, dst=S6) / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=9, m=1) / \
        IPv6ExtHdrDestOpt() / UDP(len=99, chksum=1) / b'12345678'
    twice = IPv6(src=C6, dst=S6) / IPv6ExtHdrFragment(id=9, m=1) / \
        IPv6ExtHdrFragment(id=8, m=1) / UDP(len=99, chksum=1) / b'12345678'
    many = [fragment(IP(src=C4, dst=S4, id=i) / UDP() / (b'y' * 24), 8)[-1] for i in range(150)]
    return {
        'order4': train(four), 'reverse4': train(four[::-1]), 'order6': train(six),
        'reverse6': train(six[::-1]), 'chain6': train([chain]), 'twice6': train([twice]),
        'late4': train(four[::-1], 100), 'overlap4': train(four[:1] * 2 + four[1:]),
        'icmp4': train(fragment(IP(src=C4, dst=S4, id=3) / ICMP() / (b'y' * 80), 32)),
        'waiting': train(many), 'whole': train([IP(src=C4, dst=S4) / TCP()]),
        'atomic6': train([IPv6(src=C6, dst=S6) / IPv6ExtHdrFragment(id=9) / TCP()]),
        'routing6': train([IPv6(src=C6, dst=S6) / IPv6ExtHdrRouting(type=2, segleft=0) /
                           IPv6ExtHdrFragment(id=9, m=1) / UDP(len=99, chksum=1) / b'12345678']),
    }


def routes():
    """Messages of include/suanlu/route.h."""
    def via(kind, *segments):
        body = b''.join(socket.inet_pton(socket.AF_INET6, s) for s in segments)
        return struct.pack('<BB6x', kind, len(segments)) + body.ljust(48, b'\0')

    def candidate(site, *vias):
        vias += (via(0),) * (4 - len(vias))
        return struct.pack('<32sIIff', site, 10, 0, 0.002, 0.0001) + b''.join(vias)

    def header(kind, body, version=3):
        return struct.pack('<HHIQ', version, kind, 16 + len(body), 1) + body

    def service(candidates, name=b'infer', four=S4, six=S6, port=80, protocol=6, affinity=0,
                idle=60, count=None):
        return header(2, struct.pack(
            '<32s4s16sHBBII', name, socket.inet_aton(four), socket.inet_pton(socket.AF_INET6, six),
            port, protocol, affinity, idle, len(candidates) if count is None else count) +
            b''.join(candidates))

    def path(end=b'a', transits=(b'', b''), reflector='fc00:a::1', ways=(via(0), via(1, 'fc00:a::6')),
             kind=11):
        return header(kind, struct.pack('<32s32s32s', end, *transits) +
                      socket.inet_pton(socket.AF_INET6, reflector) + b''.join(ways))

    a = candidate(b'a', via(1, 'fc00:a::4'), via(1, 'fc00:f::1', 'fc00:f::2', 'fc00:a::6'))
    b = candidate(b'b', via(2, '::ffff:10.3.0.2'), via(0))
    def node(address='fc00:e::1', address4='10.0.0.1', sids=(('fc00:c::', 48),), vnis=(7,), counts=None):
        body = socket.inet_pton(socket.AF_INET6, address) + socket.inet_aton(address4)
        body += struct.pack('<III', *(counts or (len(sids), len(vnis))), 0)
        for sid, bits in sids:
            body += socket.inet_pton(socket.AF_INET6, sid) + struct.pack('<B7x', bits)
        body = body.ljust(32 + 16 * 24, b'\0') + struct.pack('<%dI' % len(vnis), *vnis)
        return header(10, body.ljust(32 + 16 * 28, b'\0'))

    return {
        'node': node(), 'node-group': node(address='ff02::1'), 'node-group4': node(address4='224.0.0.1'),
        'node-sids': node(counts=(17, 0)), 'node-vnis': node(counts=(0, 17)),
        'node-vni': node(vnis=(1 << 24,)), 'node-prefix': node(sids=(('fc00:c::1', 48),)),
        'node-bits': node(sids=(('fc00:c::', 200),)), 'node-no-ipv4': node(address4='0.0.0.0'),
        'service': service([a, b]), 'no-candidates': service([]), 'twice': service([a, a]),
        'port': service([a], port=0), 'protocol': service([a], protocol=1),
        'affinity': service([a], affinity=3), 'idle': service([a], idle=0),
        'no-address': service([a], four='0.0.0.0', six='::'),
        'group4': service([a], four='224.0.0.1'), 'group6': service([a], six='ff02::1'),
        'name': service([a], name=b'in fer'), 'no-name': service([a], name=b''),
        'long-name': service([a], name=b'n' * 32), 'count': service([a], count=2),
        'too-many': service([a], count=65), 'site': service([candidate(b'', via(0), via(0))]),
        'via': service([candidate(b'a', via(3, 'fc00::1'), via(0))]),
        'second': service([candidate(b'a', via(1, 'fc00::1'), via(0), via(1, 'fc00::2'))]),
        'via-none': service([candidate(b'a', via(0, 'fc00::1'), via(0))]),
        'via-l2': service([candidate(b'a', via(2, 'fc00::1', 'fc00::2'), via(0))]),
        'via-group': service([candidate(b'a', via(1, 'ff02::1'), via(0))]),
        'via-empty': service([candidate(b'a', via(1), via(0))]),
        'withdraw': header(3, struct.pack('<32s', b'infer')),
        'withdraw-name': header(3, bytes(32)), 'hello': header(1, b''), 'short': b'\1\0\1',
        'version': header(1, b'', 1),
        'path': path(), 'path-end': path(kind=12), 'path-gap': path(transits=(b'', b't')),
        'path-transits': path(transits=(b't1', b't2')), 'path-name': path(end=b'in fer'),
        'path-reflector': path(reflector='ff02::1'), 'path-via': path(ways=(via(1), via(0))),
    }


def stamps():
    """STAMP (RFC 8762), after a byte that chooses the mode."""
    key = b'0123456789abcdef'

    def seal(text):
        return b'\1' + text + hmac.new(key, text, hashlib.sha256).digest()[:16]

    def packet(payload, **fields):
        udp = UDP(sport=4000, dport=862, **fields)
        return b'\0' + bytes(IPv6(src=C6, dst=S6) / udp / payload)

    sent = struct.pack('!IQHH28x', 1, 2**63, 1, 7)
    answer = struct.pack('!IQHHQIQHHB3x', 1, 2**63, 0x8001, 7, 2**63, 1, 2**63, 1, 0, 255)
    return {
        'sent': b'\0' + sent, 'answer': b'\0' + answer, 'ptp': b'\0' + answer[:12] + b'\x40' + answer[13:],
        'light': b'\0' + sent[:14], 'padded': b'\0' + sent + bytes(100), 'short': b'\0' + sent[:13],
        'sent-hmac': seal(struct.pack('!I12xQHH68x', 1, 2**63, 1, 7)),
        'answer-hmac': seal(struct.pack('!I12xQHH4xQ8xI12xQH6xB15x', 1, 2**63, 1, 7, 2**63, 1, 2**63, 1, 255)),
        'wrong-hmac': b'\1' + bytes(112), 'packet': packet(sent), 'packet-length': packet(sent, len=4),
        'packet-sum': packet(sent, chksum=1), 'packet-no-sum': packet(sent, chksum=0),
        'packet-862': b'\0' + bytes(IPv6(src=C6, dst=S6) / UDP(sport=862, dport=862) / sent),
        'packet-group': b'\0' + bytes(IPv6(src='ff02::1', dst=S6) / UDP(sport=4000, dport=862) / sent),
    }


def field(number, value):
    """One protobuf field: int, float or bytes-like."""
    def varint(n):
        out = b''
        while n > 0x7f:
            out += bytes([n & 0x7f | 0x80])
            n >>= 7
        return out + bytes([n])
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack('<d', value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(fields):
    return b''.join(field(number, value) for number, value in fields)


def reports():
    """Behind a byte that tells tests/fuzz/telemetry.c what to make right."""
    now = 1700000000000000
    site = {1: 5, 2: now, 3: 500, 4: 'ai', 5: 1.5, 6: 1.2}
    load = {1: 'infer', 2: 16, 3: 0.02, 4: 1.1, 5: 3, 6: 1, 7: 50.0, 8: 49.0, 9: 1000, 10: 990,
            12: 0.5}
    quantile = message([(1, 0.99), (2, 0.3)])
    metric = {1: 'power', 2: 1, 3: 'f', 4: 'W', 5: 'ipmi', 6: 'mean', 7: 100, 8: 3.5}
    loads = [(10, message(load.items()))]

    def report(**fields):
        changed = {**site, **{int(k[1:]): v for k, v in fields.items()}}
        return b'\2' + message(changed.items())

    def of_load(*more, **changes):
        changed = {**load, **{int(k[1:]): v for k, v in changes.items()}}
        return b'\2' + message([*site.items(), (10, message([*changed.items(), *more]))])

    def sent_to(*flows):
        return b'\2' + message([*site.items(), (11, message([(1, 'infer'), (2, 5.0), (3, 9), *(
            (4, message(enumerate(each, 1))) for each in flows)]))])

    def of_path(number, value):
        return b'\2' + message([*site.items(), (12, message([(1, 'a'), (2, 0.01), (number, value)]))])

    def announced(site='a', offers=(('infer', 4),), sid4=bytes(16), approval=bytes(9)):
        return b'\2' + message([(1, 5), (2, now), (13, message([(1, site), *(
            (2, message(enumerate(each, 1))) for each in offers), (3, sid4), (4, b''), (5, approval)]))])

    whole = message([*site.items(), *loads, (11, message([(1, 'infer'), (2, 5.0), (3, 7)])),
                     (12, message([(1, 'a'), (2, 0.01)]))])
    entry = (11, message([(1, 'infer'), (2, 5.0)]))
    path = (12, message([(1, 'a'), (2, 0.01)]))
    files = {
        'whole': b'\2' + whole, 'details': of_load((11, quantile), (20, message(metric.items()))),
        'stale': report(_2=now - 10 ** 7), 'future': report(_2=now + 10 ** 7),
        'valid-for': report(_3=70000), 'price': report(_5=-1.0), 'pue': report(_6=0.5),
        'label': report(_4='a b'), 'labels': b'\2' + message([*site.items(), *[(4, 'ai')] * 17]),
        'nan': of_load(_3=float('nan')), 'servers': of_load(_2=0), 'scv': of_load(_4=-1.0),
        'in-flight': of_load(_5=2 ** 31), 'queued': of_load(_6=2 ** 31),
        'arrivals': of_load(_7=-1.0), 'completions': of_load(_8=-1.0), 'cpu': of_load(_12=2.0),
        'service': of_load(_1=''), 'loads-twice': b'\2' + message([*site.items(), *loads * 2]),
        'quantile': of_load((11, message([(1, 2.0)]))),
        'latency': of_load((11, message([(1, 0.5), (2, -1.0)]))),
        'quantiles': of_load(*[(11, b'')] * 17), 'metrics': of_load(*[(20, b'')] * 17),
        'metric-type': of_load((20, message({**metric, 2: 3}.items()))),
        'metric-text': of_load((20, message({**metric, 4: '\n'}.items()))),
        'metric-long': of_load((20, message({**metric, 4: 'W' * 65}.items()))),
        'metric-value': of_load((20, message({**metric, 8: float('inf')}.items()))),
        'flows': sent_to(('a', 7, 6), ('b', 1, 0)), 'flows-twice': sent_to(('a', 7, 6), ('a', 7, 6)),
        'flows-name': sent_to(('', 7, 6)), 'flows-closed': sent_to(('a', 6, 7)),
        'flows-many': sent_to(('a', 1 << 60, 7)), 'link': of_path(4, -1.0), 'link-ok': of_path(4, 0.01),
        'announce': announced(), 'announce-site': announced(site=''), 'announce-sid': announced(sid4=b'1'),
        'announce-twice': announced(offers=(('infer', 1), ('infer', 1))),
        'announce-servers': announced(offers=(('infer', 0),)), 'announce-name': announced(offers=(('', 1),)),
        'announce-many': announced(offers=(('infer', 1),) * 65), 'announce-approval': announced(approval=bytes(900)),
        'demand-twice': b'\2' + message([*site.items(), entry, entry]),
        'demand-name': b'\2' + message([*site.items(), (11, b'')]),
        'demand-rate': b'\2' + message([*site.items(), (11, message([(1, 'i'), (2, -1.0)]))]),
        'path-twice': b'\2' + message([*site.items(), path, path]),
        'path-name': b'\2' + message([*site.items(), (12, b'')]),
        'path-delay': b'\2' + message([*site.items(), (12, message([(1, 'a'), (2, -1.0)]))]),
        'many-demands': b'\2' + message([*site.items(), *[(11, b'')] * 129]),
        'many-loads': b'\2' + message([*site.items(), *[(10, b'')] * 129]),
        'many-paths': b'\2' + message([*site.items(), *[(12, b'')] * 129]),
        'signed': b'\1' + message([(1, whole), (2, bytes(64))]),
        'short-signature': b'\1' + message([(1, whole), (2, b'1')]), 'garbage': b'\1\xff\xff',
        'not-a-report': b'\2\xff\xff', 'raw': b'\0' + b'SL\1\0' + bytes(40),
        'magic': b'\0' + b'XX\1\0' + bytes(40), 'tiny': b'\0SL',
        # the tag of another: the key id of the peer (public key of seed 01 00 ...)
        'tag': b'\0SL\1\0' + bytes.fromhex('cecc1507dc1ddd72') + bytes(40),
    }
    return files


CONFIG = """node: edge1
address: fc00:e::1
key: /proc/self/fd/100
run_dir: /run/suanlu
user: nobody
steering: optimal
interval_ms: 50
dataplane:
  ports: [lo]
  pins: 100k
  cores: [0, 1]
  busy_poll: false
  huge_pages: true
  sids: ["fc00:e:0:46::/64"]
telemetry:
  listen: "[fc00:e::1]:7801"
metrics:
  listen: "127.0.0.1:9801"
services:
  - name: infer
    ipv4: 192.0.2.80
    ipv6: 2001:db8:80::80
    protocol: tcp
    port: 80
    affinity: client
    idle_s: 60
    max_delay_ms: 30
    requires: [ai]
    sites: [c, a]
  - {name: dns, ipv4: 192.0.2.80, protocol: udp, port: 53, affinity: none}
sites:
  - name: a
    key: %(a)s
    sid4: "fc00:a:0:4::"
    sid6: ["fc00:f::1", "fc00:a:0:6::"]
    delay_ms: 2.5
    servers: 4
    labels: [ai, cloud]
  - {name: c, sid: "fc00:c:0:46::1", labels: [ai]}
  - {name: d, deliver4: 10.3.0.2, deliver6: "fc00:3::2"}
edges:
  - name: edge2
    key: %(b)s
    address: "[fc00:e::2]:7801"
"""


def configurations():
    keys = {'a': 'iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=',
            'b': 'gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q='}
    whole = CONFIG % keys
    changes = {
        'bus': ('metrics:\n', 'bus: "nats://u:p@[fc00::1]:4222"\nmetrics:\n'),
        'bus-map': ('metrics:\n', 'bus: {servers: [nats://a, tls://b:1], server_name: c}\nmetrics:\n'),
        'bus-url': ('metrics:\n', 'bus: nats://fc00::1:4222\nmetrics:\n'),
        'bus-file': ('metrics:\n', 'bus: {servers: nats://a, ca: /nonexistent}\nmetrics:\n'),
        **{'way-' + str(n): ('{name: c, sid: "fc00:c:0:46::1"', '{name: c, ' + way) for n, way in
           enumerate(('vxlan: 10.0.0.7', 'vni: 7', 'vxlan: 10.0.0.7, vni: 7', 'vxlan: x, vni: 7',
                      'vxlan: 10.0.0.7, vni: 7, sid: "fc00::7"', 'sid: []', 'sid: "fc00:e::1"'))},
        'vxlan': ('address: fc00:e::1\n', 'address: [fc00:e::1, 10.0.0.1]\n'),
        'vnis': ('  sids:', '  vnis: [7, 8]\n  sids:'), 'vnis-twice': ('  sids:', '  vnis: [7, 7]\n  sids:'),
        'bus-no-key': ('key: /proc/self/fd/100\n', 'bus: nats://a\n'),
        'bus-name': ('name: c,', 'name: c.,'), 'bus-names': ('node: edge1', 'node: a..b\nbus: nats://a'),
        **{'probes-' + str(n): ('metrics:\n', 'probes: {%s}\nmetrics:\n' % probes) for n, probes in
           enumerate(('', 'interval_ms: 5', 'interval_ms: 50, dead_ms: 200, hold_ms: 9, hold_max_ms: 8',
                      'clocks: synchronised', 'clocks: x', 'key: /nowhere', 'dead_ms: 10'))},
        **{'publish-' + str(n): ('metrics:\n', 'publish: [%s]\n%smetrics:\n' % (receiver, site))
           for n, (receiver, site) in enumerate((
               ('{to: "[fc00::9]:7801", key: %s}' % keys['a'], 'site: c\n'), ('', ''),
               ('{to: "[fc00::9]:7801", key: %s}' % keys['a'], ''), ('{to: x, key: y}', 'site: c\n'),
               ('{key: %s}' % keys['a'], 'site: c\n'), ('{to: "[fc00::9]:7801"}', 'site: c\n')))},
        **{'transits-' + str(n): ('edges:\n', 'transits: [%s]\nedges:\n' % transit) for n, transit in enumerate((
            '{name: t, sid: "fc00:f::1"}', '{name: t}', '{sid: "fc00:f::1"}', '{name: a, sid: "fc00:f::1"}',
            '{name: t, sid: "fc00:f::1", key: %s}' % keys['a'], '{name: t, sid: x, key: y}',
            '{name: t, sid: "fc00:f::1"}, {name: t, sid: "fc00:f::2"}',
            '{name: t, sid: "fc00:f::1", reflector: "fc00:f::9", key: %s}' % keys['a']))},
        'bus-none': ('metrics:\n', 'bus: {}\nmetrics:\n'),
        'node': ('node: edge1', 'node: ""'), 'no-node': ('node: edge1\n', ''),
        'unknown-key': ('steering:', 'sterring:'), 'twice': ('steering: optimal', 'node: b'),
        'steering': ('optimal', 'best'), 'nearest': ('optimal', 'nearest'),
        'interval': ('interval_ms: 50', 'interval_ms: 1'), 'user': ('nobody', 'nobody-at-all'),
        'ports': ('[lo]', '[]'), 'no-interface': ('[lo]', '[c0]'), 'port-twice': ('[lo]', '[lo, lo]'),
        'port-name': ('[lo]', '[an-interface-name-too-long]'),
        'pins': ('100k', '7q'), 'pins-large': ('100k', '99999M'), 'pins-m': ('100k', '2M'),
        'cores': ('[0, 1]', '[0, 0]'), 'cores-word': ('[0, 1]', '[x]'),
        'bool': ('busy_poll: false', 'busy_poll: maybe'), 'bits': ('/64', '/129'),
        'no-bits': ('/64', ''), 'sid-host': ('fc00:e:0:46::/64', 'fc00:e:0:46::1/64'),
        'listen': ('[fc00:e::1]:7801', 'fc00:e::1:7801'), 'listen-port': (':9801', ':0'),
        'ipv4': ('192.0.2.80', '192.0.2.800'), 'ipv6': ('2001:db8:80::80', '2001::db8::'),
        'multicast': ('192.0.2.80', '224.0.0.1'), 'protocol': ('protocol: tcp', 'protocol: sctp'),
        'port': ('port: 80', 'port: 70000'), 'no-port': ('    port: 80\n', ''),
        'affinity': ('client', 'server'), 'idle': ('idle_s: 60', 'idle_s: 0'),
        'delay': ('max_delay_ms: 30', 'max_delay_ms: nan'), 'site': ('[c, a]', '[c, x]'),
        'site-twice': ('[c, a]', '[c, c]'), 'name': ('name: infer', 'name: "in fer"'),
        'name-twice': ('name: dns', 'name: infer'), 'label': ('[ai, cloud]', '["a b"]'),
        'label-twice': ('[ai, cloud]', '[ai, ai]'), 'address-twice': ('udp, port: 53', 'tcp, port: 80'),
        'no-address': ('ipv4: 192.0.2.80, ', ''), 'key': (keys['a'], 'AAAA'),
        'same-key': (keys['b'], keys['a']), 'sid-and-sid4': ('sid4:', 'sid: "fc00::1"\n    sid4:'),
        'no-sid': ('sid: "fc00:c:0:46::1", ', ''), 'segments': ('["fc00:f::1", "fc00:a:0:6::"]',
                   '["fc00:1::", "fc00:2::", "fc00:3::", "fc00:4::"]'),
        'deliver': ('10.3.0.2', '10.3.0'), 'negative': ('delay_ms: 2.5', 'delay_ms: -1'),
        'servers': ('servers: 4', 'servers: 0'), 'edge-name': ('edge2', 'edge1'),
        'edge-address': ('[fc00:e::2]:7801', '[fc00:e::2]'), 'no-source': ('address: fc00:e::1\n', ''),
        'site-named-twice': ('name: c,', 'name: a,'), 'site-no-name': ('name: c, ', ''),
        'edge-twice': ('edges:\n', 'edges:\n  - {name: edge2, key: %s, address: "[fc00:e::3]:1"}\n' % keys['b']),
        'edge-no-key': ('    key: %s\n    address' % keys['b'], '    address'),
        'edge-no-address': ('    address: "[fc00:e::2]:7801"\n', ''),
        'edge-no-name': ('- name: edge2\n    key', '- key'),
        'needs-sid4': ('deliver4: 10.3.0.2, ', ''), 'needs-sid6': ('c, a]\n', 'd]\n'),
        'map': ('services:\n', 'services: {}\nx:\n'), 'scalar': ('[lo]', '{a: b}'),
        'alias': ('node: edge1', 'node: &n edge1\nuser: *n'),
        'no-key-file': ('key: /proc/self/fd/100\n', ''), 'key-file': ('/proc/self/fd/100', '/nowhere/key'),
        'run-dir': ('/run/suanlu', 'run/suanlu'), 'no-sites': ('sites:\n  - name: a', 'x:\n  - name: a'),
        'tabs': ('  ports', '\tports'), 'not-utf8': ('edge1', '\xff'),
        'loop-service': ('deliver4: 10.3.0.2', 'deliver4: 192.0.2.80'),
        'loop-segment': ('fc00:f::1', '2001:db8:80::80'), 'loop-sid': ('fc00:e:0:46::/64', 'fc00:8::/29'),
        **{'announce-' + str(n): ('services:\n', 'announce: {%s}\nservices:\n' % announce)
           for n, announce in enumerate(('', 'table: main, metric: 5', 'table: 0', 'table: x',
                                         'metric: 0', 'interface: lo', 'interface: c0', 'key: 1'))},
        'deep': ('[0, 1]', '[' * 40), 'list': ('node: edge1', '- node'),
    }
    files = {name: whole.replace(*change, 1).encode('latin1') for name, change in changes.items()}
    no_key = whole.replace('key: /proc/self/fd/100\n', '').replace(
        'telemetry:\n  listen: "[fc00:e::1]:7801"\n', '')
    no_edges = no_key[:no_key.index('edges:')]
    both = whole.replace('address: fc00:e::1\n', 'address: [fc00:e::1, 10.0.0.1]\n')
    receiver = '{to: "[fc00::9]:7801", key: %s}' % keys['a']
    twice = [
        ('bus-without-key', no_edges + 'bus: nats://a\n'), ('edges-without-key', no_key),
        ('none-without-key', no_edges), ('publish-without-key', no_edges + 'publish: [%s]\n' % receiver),
        ('vnis-same', both.replace('  sids:', '  vnis: [7, 7]\n  sids:')),
        ('own-address', both.replace('sid: "fc00:c:0:46::1"', 'vxlan: 10.0.0.1, vni: 7')),
        ('publish-ok', whole + 'publish: [%s]\n' % receiver),
        ('publish-same', whole + 'publish: [%s, %s]\n' % (receiver, receiver)),
        ('site-dots', whole + 'site: .c\nbus: nats://a\n'),
        ('bus-edges', whole.replace('edge2', 'edge2.') + 'bus: nats://a\n'),
        ('bus-sites', whole.replace('name: d,', 'name: d.,') + 'bus: nats://a\n'),
    ]
    one = '{name: telco, key: %s, delay_ms: 10}' % keys['a']
    for name, text, operators in (('ok', whole, one), ('no-name', whole, one.replace('name: telco, ', '')),
                                  ('no-key', whole, '{name: telco}'), ('unheard', no_edges, one),
                                  ('no-ipv6', whole.replace('address: fc00:e::1', 'address: 10.0.0.1'), one)):
        twice.append(('operator-' + name, text + 'operators: [%s]\n' % operators))
    files.update({name: text.encode() for name, text in twice})
    return {**files, 'whole': whole.encode(), 'empty': b'', 'word': b'edge',
            'minimal': b'node: e\ndataplane: {ports: [lo]}\nservices: []\nsites: []\n'}


def netlink_messages():
    def attribute(kind, body):
        return (struct.pack('<HH', 4 + len(body), kind) + body).ljust(4 + len(body) + 3 & ~3, b'\0')

    def netlink(kind, body):
        return struct.pack('<IHHII', 16 + len(body), kind, 0, 0, 0) + body

    six = socket.inet_pton(socket.AF_INET6, C6)
    oif = attribute(4, struct.pack('<I', 3))
    mtu = attribute(8, attribute(2, struct.pack('<I', 1400)) + attribute(1, b'\0' * 4))

    def route(kind, *attributes, family=10):
        return netlink(24, struct.pack('<BBBBBBBBI', family, 128, 0, 0, 254, 3, 0, kind, 0) +
                       b''.join(attributes))

    def neighbour(state, *attributes):
        return netlink(28, struct.pack('<BxHiHBB', 10, 0, 3, state, 0, 1) + b''.join(attributes))

    mac = attribute(2, b'\2\0\0\0\0\1')
    return {
        'route': route(1, oif, attribute(5, six), mtu), 'local': route(2, oif),
        'route4': route(1, oif, attribute(5, b'\n\0\0\1'), family=2), 'blackhole': route(6),
        'short-oif': route(1, attribute(4, b'')), 'short-mtu': route(1, attribute(8, attribute(2, b''))),
        'short-gateway': route(1, attribute(5, b'\1')), 'neighbour': neighbour(2, mac),
        'failed': neighbour(0x20), 'short-mac': neighbour(4, attribute(2, b'\1')),
        'short-route': netlink(24, b''), 'short-neighbour': netlink(28, b'\n'),
        'error': netlink(2, struct.pack('<i', -101)), 'done': netlink(3, bytes(4)),
        'link': netlink(16, struct.pack('<BxHiII', 0, 1, 3, 0x43, 0) + attribute(4, struct.pack('<I', 1500)) +
                        attribute(1, b'\2\0\0\0\0\1')),
        'two': route(1, oif) + neighbour(2, mac),
    }


def approvals():
    def inner(site='a', key=bytes(32), servers=8, services=('infer',), prefix=b'\xfc\0\0\x0a' + bytes(12), bits=35):
        return message([(1, site), (2, key), (3, servers), *((4, service) for service in services), (5, prefix),
                        (6, bits), (7, 1 << 50)])

    unsigned = message([(1, inner()), (2, bytes(32)), (3, bytes(64))])
    return {'empty': b'', 'text': b'# a\nsuanlu-approval-1 ' + b'CgMKAWE=', 'outer': unsigned,
            'short': b'\x0a\x00\x12\x02ab', 'tag': b'suanlu-approval-1 ',
            'inner': inner(), 'any-service': inner(services=()), 'services': inner(services=('s',) * 17),
            'service-name': inner(services=('.',)), 'site-name': inner(site='*'), 'key': inner(key=b'short'),
            'servers': inner(servers=0), 'prefix': inner(prefix=b'\xfc'), 'bits': inner(bits=129),
            'whole-bytes': inner(bits=32), 'full': inner(services=('s' * 31,) * 16)}


def subjects():
    return {name: ('$KV.suanlu.' + rest).encode() for name, rest in {
        'site': 'site.chengdu.0', 'edge': 'edge.edge1.99', 'dots': 'site.a.b.c.7',
        'long': 'edge.abcdefghijklmnopqrstuvwxyz01234.10', 'two-dots': 'site.a..b.0',
        'part': 'site.a.100', 'zero': 'site.a.00', 'wildcard': 'site.*.0', 'kind': 'x.a.0'}.items()
    } | {'other': b'$KV.other.site.a.0'}


def requests():
    lines = {name: ('{"command":"%s"}\n' % name).encode() for name in
             ('services', 'sites', 'routes', 'telemetry', 'reports', 'status', 'reload', 'drain')}
    return {
        **lines, 'drain-site': b'{"command":"drain","site":"a"}\n',
        'undrain-site': b'{"command":"undrain","site":"a"}\n',
        'no-site': b'{"command":"drain","site":"x"}\n', 'number': b'{"command":1}\n',
        'list': b'[]\n', 'broken': b'{"command":\n', 'nul': b'{"command":"si\0tes"}\n',
        'long': b'x' * 5000, 'two': lines['sites'] + lines['routes'], 'empty': b'\n',
        'deep': b'[' * 3000 + b'\n', 'partial': b'{"comm',
    }


def scrapes():
    """What an agent reads over HTTP; the first byte says as what."""
    data = pathlib.Path(__file__).parent.parent / 'data' / 'scrapes'
    files = {path.name: (b'\1' if path.suffix == '.json' else b'\0') + path.read_bytes()[:3000]
             for path in data.iterdir() if path.suffix in ('.txt', '.json')}
    lines = {'escapes': b'a{b="c\\\\d\\"e\\nf",g=""} NaN 17 # {x="y"} 1\n', 'open': b'a{b="c\n',
             'empty': b'{} 1\n', 'infinite': b'a +Inf\nb -Inf\n', 'many': b'a{' + b'b="",' * 40 + b'} 1\n',
             'comments': b'# HELP a\n# EOF\n\n', 'no-value': b'a\n', 'word': b'a b\n'}
    return {**files, **{name: b'\0' + text for name, text in lines.items()},
            'orca-nested': b'\1{"utilization":{"x":{"y":1}},"cpu_utilization":"1","z":[1]}',
            'orca-list': b'\1[1]', 'orca-broken': b'\1{"a":'}


def main():
    frames = {name: ETHER / p for name, p in packets().items()}
    frames['vlan'] = ETHER / Dot1Q(vlan=7) / packets()['tcp4']
    frames['qinq'] = ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / packets()['tcp6']
    frames['arp'] = Ether(type=0x806) / bytes(28)
    frames['fragment4'] = ETHER / IP(src=C4, dst=S4, flags='MF') / UDP()
    frames['fragment6'] = ETHER / IPv6(src=C6, dst=S6) / IPv6ExtHdrFragment(m=1) / UDP()
    write('parse', frames)
    icmp = {name: ETHER / p for name, p in messages().items()}
    icmp['vlan'] = ETHER / Dot1Q(vlan=7) / messages()['ping4']
    icmp['qinq'] = ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / messages()['ping6']
    icmp['df'] = ETHER / IP(src=C4, dst=S4, flags='DF') / TCP()
    icmp['loop'] = ETHER / IP(src=S4, dst=S4) / TCP()
    icmp['group'] = ETHER / IPv6(src=C6, dst='ff02::1') / TCP()
    write('icmp', icmp)
    write('outer_error', outer_errors())
    write('fragment', trains())
    write('route', routes())
    write('stamp', stamps())
    write('telemetry', reports())
    write('subject', subjects())
    write('approval', approvals())
    write('config', configurations())
    write('netlink', netlink_messages())
    write('request', requests())
    write('scrape', scrapes())


main()
