#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
watch.py INTERFACE: what passes an interface between an edge and its underlay, a line each, with the
kernel's arrival time (Unix, seconds):

    TIME data ADDRESS             encapsulated, to the first segment ADDRESS
    TIME probe ADDRESS SESSION    STAMP, the same
    TIME answer ADDRESS SESSION   STAMP, from the reflector ADDRESS

"ready" first; ends at SIGTERM. For tests and benchmarks of how fast a path is left.
"""
import signal
import socket
import struct
import sys

SO_TIMESTAMPNS = 35
LEAST_BYTES = 54


def is_stamp(header, data, port):
    """UDP with this port at 0 (source) or 2 (destination) being STAMP's"""
    return header == 17 and len(data) >= 8 + 16 and data[port : port + 2] == b"\x03\x5e"


def session(data):
    return int.from_bytes(data[8 + 14 : 8 + 16], "big")


def describe(frame):
    """(what, address, session), or None"""
    if len(frame) < LEAST_BYTES or frame[12:14] != b"\x86\xdd":
        return None
    header, at = frame[20], 54
    if header == 43:  # segment routing
        header, at = frame[54], 54 + 8 + 8 * frame[55]
    inner = frame[at:]
    if is_stamp(header, inner, 0):
        return "answer", frame[22:38], session(inner)
    if header == 4:
        return "data", frame[38:54], ""
    if header != 41:
        return None
    if len(inner) >= 48 and is_stamp(inner[6], inner[40:], 2):
        return "probe", frame[38:54], session(inner[40:])
    return "data", frame[38:54], ""


def main():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    sock.bind((sys.argv[1], 0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        frame, control, _, _ = sock.recvmsg(2048, 64)
        what = describe(frame)
        if what is None:
            continue
        seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
        address = socket.inet_ntop(socket.AF_INET6, what[1])
        print(f"{seconds}.{nanoseconds:09d} {what[0]} {address} {what[2]}", flush=True)


if __name__ == "__main__":
    main()
