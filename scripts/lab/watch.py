#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
watch.py INTERFACE: what passes an interface between an edge and its underlay, a line each, with the
kernel's arrival time (Unix, seconds):

    TIME probe|data ADDRESS     encapsulated, to the first segment ADDRESS
    TIME answer ADDRESS         STAMP, from the reflector ADDRESS

"ready" first; ends at SIGTERM. For tests and benchmarks of how fast a path is left.
"""
import signal
import socket
import struct
import sys

SO_TIMESTAMPNS = 35
LEAST_BYTES = 54


def udp_ports(header, data):
    return struct.unpack("!HH", data[:4]) if header == 17 and len(data) >= 8 else (0, 0)


def describe(frame):
    """(what, address), or None"""
    if len(frame) < LEAST_BYTES or frame[12:14] != b"\x86\xdd":
        return None
    header, at = frame[20], 54
    if header == 43:  # segment routing
        header, at = frame[54], 54 + 8 + 8 * frame[55]
    if header == 17:
        return ("answer", frame[22:38]) if udp_ports(17, frame[at:])[0] == 862 else None
    if header == 4:
        return "data", frame[38:54]
    if header != 41:
        return None
    inner = frame[at:]
    ports = udp_ports(inner[6], inner[40:]) if len(inner) >= 48 else (0, 0)
    return "probe" if ports[1] == 862 else "data", frame[38:54]


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
        print(f"{seconds}.{nanoseconds:09d} {what[0]} {address}", flush=True)


if __name__ == "__main__":
    main()
