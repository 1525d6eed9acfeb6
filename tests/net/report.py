#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reports made by a second implementation, straight from include/suanlu/telemetry.proto.

report.py KEY_FILE RECEIVER_PUBLIC ADDRESS PORT KIND [SERVICE...]

Sends one datagram of KIND (two for "replayed"); "walk N PER_S" sends N good ones
whose load changes each time; "keep SECONDS NAME=VALUE..." sends ten a second that say the same
(names are report's); "hex N KIND" prints N datagrams instead, for flood.c. Ed25519 and X25519 are
OpenSSL's (python3-cryptography), BLAKE2b is Python's; protobuf is encoded by hand. Nothing is
shared with libsuanlu.
"""
import base64
import hashlib
import math
import os
import re
import socket
import struct
import sys
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

P = 2**255 - 19


def varint(value):
    out = b''
    value %= 1 << 64  # as protobuf has negative numbers
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """One protobuf field: int, float or bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack('<d', value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def x25519_public(ed25519_public):
    """The birational map of RFC 7748 section 4.1: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(ed25519_public, 'little') & (1 << 255) - 1
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, 'little')


class Sender:
    def __init__(self, seed, receiver):
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        # RFC 8032 section 5.1.5: the scalar is the first half of the seed's SHA-512
        scalar = hashlib.sha512(seed).digest()[:32]
        shared = X25519PrivateKey.from_private_bytes(scalar).exchange(
            X25519PublicKey.from_public_bytes(x25519_public(receiver)))
        self.tag_key = hashlib.blake2b(b'suanlu-tag-1' + shared, digest_size=32).digest()

    def signed(self, report):
        return field(1, report) + field(2, self.key.sign(b'suanlu-report-1' + report))

    def datagram(self, payload, magic=b'SL\x01\x00', key_id=None):
        head = magic + (key_id or self.public[:8])
        tag = hashlib.blake2b(head + payload, digest_size=16, key=self.tag_key).digest()
        return head + tag + payload


def report(services, age_s=0.0, valid_for_ms=60000, servers=8, service_time_s=0.03,
           in_flight=0, queued=0, sequence=None, arrivals_per_s=0.0, completions_per_s=0.0):
    now_us = int(time.time() * 1e6)
    text = field(1, sequence or now_us) + field(2, int(now_us - age_s * 1e6))
    text += field(3, valid_for_ms)
    for service in services:
        text += field(10, field(1, service.encode()) + field(2, servers) +
                      field(3, service_time_s) + field(4, 1.0) + field(5, in_flight) +
                      field(6, queued) + field(7, arrivals_per_s) +
                      field(8, completions_per_s))
    return text


def seed_of(file):
    with open(file, encoding='ascii') as text:
        return base64.b64decode(re.search(r'^suanlu-secret-1 (\S+)$', text.read(), re.M)[1])


def make(kind, sender, stranger, services):
    """The datagrams of one kind."""
    good = sender.datagram(sender.signed(report(services)))
    match kind:
        case 'good':
            return [good]
        case 'busy':
            return [sender.datagram(sender.signed(
                report(services, in_flight=8, queued=400)))]
        case 'short':
            return [good[:20]]
        case 'long':
            return [good + bytes(1401 - len(good))]
        case 'truncated':  # cut on the way
            return [good[:len(good) * 2 // 3]]
        case 'garbled':  # one bit flipped on the way
            return [good[:60] + bytes([good[60] ^ 4]) + good[61:]]
        case 'noise':
            return [os.urandom(200)]
        case 'magic':
            return [sender.datagram(sender.signed(report(services)), magic=b'SL\x02\x00')]
        case 'unknown':  # a key that nobody configured
            return [stranger.datagram(stranger.signed(report(services)))]
        case 'forged':  # somebody else under the site's key id
            return [stranger.datagram(stranger.signed(report(services)),
                                      key_id=sender.public[:8])]
        case 'undecodable':
            return [sender.datagram(b'\xff' * 90)]
        case 'signature':  # a tag as it should be, signed by somebody else
            return [sender.datagram(stranger.signed(report(services)))]
        case 'replayed':
            return [good, good]
        case 'stale':
            return [sender.datagram(sender.signed(report(services, age_s=2, valid_for_ms=500)))]
        case 'future':
            return [sender.datagram(sender.signed(report(services, age_s=-30)))]
        case 'nan':
            return [sender.datagram(sender.signed(report(services, service_time_s=math.nan)))]
        case 'negative':
            return [sender.datagram(sender.signed(report(services, service_time_s=-0.5)))]
        case 'no-servers':
            return [sender.datagram(sender.signed(report(services, servers=0)))]
    sys.exit(f'report.py: no kind {kind}')


def walk(sender, services, count, per_s, send):
    """Load that goes up and down, so that each report changes the routes."""
    start = time.monotonic()
    for i in range(count):
        busy = 0.5 - 0.5 * math.cos(2 * math.pi * i / 20)
        send(sender.datagram(sender.signed(report(
            services, in_flight=int(8 * busy), queued=int(30 * busy),
            service_time_s=0.02 + 0.03 * busy, valid_for_ms=2000))))
        time.sleep(max(0.0, start + (i + 1) / per_s - time.monotonic()))


def keep(sender, services, seconds, values, send):
    said = {name: int(value) if re.fullmatch(r'-?\d+', value) and not name.endswith('_s')
            else float(value) for name, value in (value.split('=') for value in values)}
    for _ in range(int(10 * seconds)):
        send(sender.datagram(sender.signed(report(services, **{'valid_for_ms': 2000, **said}))))
        time.sleep(0.1)


def sender_of(key_file, receiver):
    return Sender(seed_of(key_file), base64.b64decode(receiver))


def connect(address, port):
    out = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, port))
    return out


def main():
    key_file, receiver, address, port, kind, *rest = sys.argv[1:]
    sender = sender_of(key_file, receiver)
    stranger = Sender(os.urandom(32), base64.b64decode(receiver))
    if kind == 'hex':
        for _ in range(int(rest[0])):
            print(make(rest[1], sender, stranger, rest[2:] or ['infer'])[0].hex())
        return
    out = connect(address, int(port))
    if kind == 'walk':
        walk(sender, rest[2:] or ['infer'], int(rest[0]), float(rest[1]), out.send)
        return
    if kind == 'keep':
        keep(sender, ['infer', 'stream'], float(rest[0]), rest[1:], out.send)
        return
    for datagram in make(kind, sender, stranger, rest or ['infer']):
        out.send(datagram)


if __name__ == '__main__':
    main()
