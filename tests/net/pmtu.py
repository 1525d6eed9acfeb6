#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Datagrams for pmtu.sh.

pmtu.py serve PORT ADDRESS...: answers each datagram with its digest.
pmtu.py hop ADDRESS PORT: sends one that has one hop left, prints origin and type of the ICMP error.
pmtu.py datagrams ADDRESS PORT BYTES: sends 20 that the kernel fragments (IPv4 without DF), prints
how many were answered; what was lost is sent again, twice.
pmtu.py reversed ADDRESS PORT BYTES INTERFACE MAC SOURCE: the same, once each, last fragment first.
pmtu.py forged SID ADDRESS SOURCE INTERFACE MAC COUNT: from the underlay, too big, about our packets
to SID with SOURCE's to ADDRESS in them, each with another flow label.
pmtu.py errors ADDRESS PORT INTERFACE MAC SOURCE COUNT: too big, about as many flows that nobody has.
"""
import hashlib
import os
import select
import socket
import struct
import sys

COUNT = 20
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_RECVERR, IPV6_RECVERR = 10, 0, 11, 25


def digest(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def udp(address):
    return socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)


def serve(port, *addresses):
    sockets = []
    for address in addresses:
        sockets.append(udp(address))
        sockets[-1].bind((address, int(port)))
    print('ready', flush=True)
    while True:
        for link in select.select(sockets, [], [])[0]:
            data, source = link.recvfrom(65536)
            link.sendto(digest(data), source)


def hop(address, port):
    link = udp(address)
    if ':' in address:
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
        link.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        link.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        link.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    link.connect((address, int(port)))
    link.send(b'hop')
    poll = select.poll()
    poll.register(link, 0)
    if not poll.poll(2000):
        print('nothing')
        return
    _, control, _, _ = link.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    _, origin, kind = struct.unpack('=IBB', control[0][2][:6])
    print(origin, kind)


def answered(link, data, seconds):
    link.settimeout(seconds)
    try:
        return link.recv(2048) == digest(data)
    except OSError:
        return False


def datagrams(address, port, size):
    link, done = udp(address), 0
    if ':' not in address:
        link.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    for _ in range(COUNT):
        data = os.urandom(int(size))
        for _ in range(3):
            link.sendto(data, (address, int(port)))
            if answered(link, data, 0.7):
                done += 1
                break
    print(done)


def backwards(address, port, size, interface, mac, source):
    from scapy.all import (Ether, IP, IPv6, IPv6ExtHdrFragment, Raw, UDP, conf, fragment,
                           fragment6)
    link, wire, done = udp(address), conf.L2socket(iface=interface), 0
    link.bind((source, 0))
    for number in range(1, COUNT + 1):
        data = os.urandom(int(size))
        payload = UDP(sport=link.getsockname()[1], dport=int(port)) / Raw(data)
        if ':' in address:
            parts = fragment6(IPv6(src=source, dst=address) / IPv6ExtHdrFragment(id=number) /
                              payload, 1280)
        else:
            parts = fragment(IP(src=source, dst=address, id=number) / payload, 1200)
        for part in reversed(parts):
            wire.send(Ether(dst=mac) / part)
        done += answered(link, data, 0.7)
    print(done)


def forged(sid, address, source, interface, mac, count):
    from scapy.all import Ether, ICMPv6PacketTooBig, IP, IPv6, Raw, TCP, conf
    wire = conf.L2socket(iface=interface)
    inner = (IPv6 if ':' in address else IP)(src=source, dst=address) / \
        TCP(sport=2000, dport=80) / Raw(b'x' * 1300)
    for number in range(1, int(count) + 1):
        about = IPv6(src='fc00:e::1', dst=sid, fl=number, hlim=63) / inner
        wire.send(Ether(dst=mac) / IPv6(src='fd00:e::2', dst='fc00:e::1') /
                  ICMPv6PacketTooBig(mtu=1320) / bytes(about)[:1232])


def errors(address, port, interface, mac, source, count):
    from scapy.all import (Ether, ICMP, ICMPv6PacketTooBig, IP, IPv6, UDP, conf)
    wire = conf.L2socket(iface=interface)
    for number in range(int(count)):
        ports = UDP(sport=int(port), dport=2000 + number)
        if ':' in address:
            about = IPv6(src=address, dst=source) / ports
            frame = IPv6(src=source, dst=address) / ICMPv6PacketTooBig(mtu=1300) / bytes(about)
        else:
            about = IP(src=address, dst=source) / ports
            frame = IP(src=source, dst=address) / ICMP(type=3, code=4, nexthopmtu=1300) / \
                bytes(about)[:28]
        wire.send(Ether(dst=mac) / frame)


{'serve': serve, 'hop': hop, 'datagrams': datagrams, 'reversed': backwards,
 'forged': forged, 'errors': errors}[sys.argv[1]](*sys.argv[2:])
