#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""agent-receive.py PORT: takes reports off UDP; with each it prints a line of JSON, all services that
were told of in the last 0.5 s (they may come in several reports). Its own decoder of the few protobuf
messages of telemetry.proto; signatures are not checked (reports.sh does that)."""
import json
import socket
import struct
import sys
import time

VALID_S = 0.5
HEADER_BYTES = 28
LOAD = {1: "service", 2: "servers", 3: "service_time_s", 4: "service_scv", 5: "in_flight",
        6: "queued", 7: "arrivals_per_s", 8: "completions_per_s", 9: "arrivals",
        10: "completions", 12: "cpu_utilisation"}
METRIC = {1: "type", 2: "level", 3: "format", 4: "unit", 5: "source", 6: "statistics",
          7: "window_ms", 8: "value"}


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def named(data, names):
    return {names[key]: value.decode() if isinstance(value, bytes) else value
            for key, value in fields(data) if key in names}


def load(data):
    out = named(data, LOAD)
    out["latency"] = [list(dict(fields(value)).values()) for key, value in fields(data) if key == 11]
    out["metric"] = {m["type"]: m for m in
                     (named(value, METRIC) for key, value in fields(data) if key == 20)}
    return out


def main():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", int(sys.argv[1])))
    known = {}
    while True:
        signed = dict(fields(receiver.recv(2000)[HEADER_BYTES:]))
        now = time.monotonic()
        report = list(fields(signed[1]))
        for one in (load(value) for key, value in report if key == 10):
            one["measured_at_us"] = dict(report)[2]
            known[one["service"]] = (now, one)
        known = {name: entry for name, entry in known.items() if entry[0] > now - VALID_S}
        print(json.dumps({name: one for name, (_, one) in known.items()}), flush=True)


main()
