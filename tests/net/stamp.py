#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
STAMP (RFC 8762) and TWAMP Light by other hands than ours: written from the RFC's figures.

    stamp.py reflect ADDRESS [--key BASE64] [--stateful] [--lose-there N] [--lose-back N]
    stamp.py send ADDRESS [--key BASE64] [--bytes N] [--count N] [--forge] [--source-port N]

reflect answers on UDP 862, and loses every Nth probe before or after it has counted it. send checks
every field of each answer; it prints the number of right ones, and fails if one is wrong.
"""
import argparse
import base64
import hashlib
import hmac
import socket
import struct
import sys
import time

EPOCH = 2208988800


def ntp(seconds):
    return int((seconds + EPOCH) * 2**32) & (2**64 - 1)


def unix(stamp):
    return stamp / 2**32 - EPOCH


def seal(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()[:16]


def sent(key, sequence, stamp, session):
    if key is None:
        return struct.pack("!IQHH28x", sequence, stamp, 0x0001, session)
    text = struct.pack("!I12xQHH68x", sequence, stamp, 0x0001, session)
    return text + seal(key, text)


def read_sent(key, data):
    """(sequence, timestamp, error estimate, session), or None"""
    if key is None:
        return struct.unpack("!IQHH", data[:16]) if len(data) >= 16 else None
    if len(data) < 112 or not hmac.compare_digest(seal(key, data[:96]), data[96:112]):
        return None
    return struct.unpack("!I12xQHH", data[:28])


def reflected(key, number, received, ttl, probe):
    sequence, stamp, error, _ = probe  # a TWAMP Light reflector: the session is not repeated
    now = ntp(time.time())
    if key is None:
        return struct.pack("!IQHHQIQHHB3x", number, now, 0x0001, 0, received, sequence, stamp, error, 0, ttl)
    text = struct.pack("!I12xQHH4xQ8xI12xQH6xB15x", number, now, 0x0001, 0, received, sequence, stamp, error, ttl)
    return text + seal(key, text)


def reflect(options):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((options.address, 862))
    numbers, seen = {}, 0
    print("ready", flush=True)
    while True:
        data, source = sock.recvfrom(2048)
        received = ntp(time.time())
        probe = read_sent(options.key, data)
        if probe is None:
            continue
        seen += 1
        if options.lose_there and seen % options.lose_there == 0:
            continue
        number = numbers.get(source, 0)
        numbers[source] = number + 1
        if options.lose_back and seen % options.lose_back == 0:
            continue
        answer = reflected(options.key, number if options.stateful else probe[0], received, 255, probe)
        sock.sendto(answer, source)


def check(options, data, index, stamp, now):
    session = 0x1234
    if options.key is None:
        fields = struct.unpack("!IQHHQIQHHB3s", data[:44])
        number, left, error, back, received, sequence, own, own_error, zero, ttl, rest = fields
        assert zero == 0 and rest == b"\0\0\0", "must be zero"
    else:
        assert hmac.compare_digest(seal(options.key, data[:96]), data[96:112]), "HMAC"
        fields = struct.unpack("!I12sQHH4sQ8sI12sQH6sB15s", data[:96])
        number, z1, left, error, back, z2, received, z3, sequence, z4, own, own_error, z5, ttl, z6 = fields
        assert not any(z1 + z2 + z3 + z4 + z5 + z6), "must be zero"
    assert len(data) == max(options.bytes, 112 if options.key else 44), f"{len(data)} bytes"
    assert sequence == index, f"sender's sequence {sequence}, not {index}"
    assert own == stamp and own_error == 1, "sender's timestamp or error estimate"
    assert back == (session if options.bytes >= 16 else 0), f"session {back:#x}"
    assert error & 0xFF, "an error multiplier of 0"
    assert number == index, f"reflector's own number {number}, not {index}"
    assert 200 < ttl <= 255, f"TTL {ttl}"
    assert unix(stamp) <= unix(received) + 1e-6 <= unix(left) + 2e-6 <= now + 3e-6, "timestamps in order"
    assert data[112 if options.key else 44:] == bytes([0x5A]) * max(0, options.bytes - (112 if options.key else 44))


def send(options):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    sock.settimeout(0.6)
    if options.source_port:
        sock.bind(("::", options.source_port))
    right = 0
    for index in range(options.count):
        stamp = ntp(time.time())
        data = sent(options.key, index, stamp, 0x1234)
        if options.forge:
            data = data[:-1] + bytes([data[-1] ^ 1])
        data = (data + bytes([0x5A]) * 2000)[: options.bytes]
        sock.sendto(data, (options.address, 862))
        try:
            answer, source = sock.recvfrom(2048)
        except socket.timeout:
            continue
        now = time.time()
        assert source[:2] == (options.address, 862), f"from {source}"
        check(options, answer, index, stamp, now)
        right += 1
    print(right)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", type=base64.b64decode)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("reflect")
    one.add_argument("address")
    one.add_argument("--stateful", action="store_true")
    one.add_argument("--lose-there", type=int, default=0)
    one.add_argument("--lose-back", type=int, default=0)
    other = commands.add_parser("send")
    other.add_argument("address")
    other.add_argument("--bytes", type=int, default=0)
    other.add_argument("--count", type=int, default=5)
    other.add_argument("--forge", action="store_true")
    other.add_argument("--source-port", type=int, default=0)
    options = parser.parse_args()
    if options.command == "reflect":
        reflect(options)
    else:
        options.bytes = options.bytes or (112 if options.key else 44)
        send(options)


if __name__ == "__main__":
    sys.exit(main())
