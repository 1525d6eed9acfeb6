#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long until control has applied a good report, seen from outside.

attack.py RUN_DIR ADDRESS PORT COUNT KEY_FILE RECEIVER_PUBLIC SERVICE...

Sends COUNT reports, ten a second, and after each asks control.sock for the number of accepted
reports of all senders until it has risen: this is the only sender of good ones. Prints JSON: how
many were lost (not applied within a second), p50, p99 and max of the others in milliseconds.
"""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../../tests/net'))
import report  # noqa: E402


class Control:
    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(run_dir + '/control.sock')
        self.lines = self.socket.makefile()

    def ask(self, command):
        self.socket.sendall(json.dumps({'command': command}).encode() + b'\n')
        return json.loads(self.lines.readline())

    def accepted(self):
        return self.ask('reports')['reports']['accepted']


def main():
    run_dir, address, port, count, key_file, receiver, *services = sys.argv[1:]
    sender = report.sender_of(key_file, receiver)
    out = report.connect(address, int(port))
    control = Control(run_dir)
    took_ms, lost = [], 0
    due = time.monotonic()
    for i in range(int(count)):
        before = control.accepted()
        datagram = sender.datagram(sender.signed(report.report(
            services, in_flight=i % 8, valid_for_ms=2000)))
        start = time.monotonic()
        out.send(datagram)
        while control.accepted() == before and time.monotonic() < start + 1:
            time.sleep(0.0002)
        took = time.monotonic() - start
        if took < 1:
            took_ms.append(took * 1000)
        else:
            lost += 1
        due += 0.1
        time.sleep(max(0, due - time.monotonic()))
    took_ms.sort()
    if not took_ms:
        took_ms = [float('inf')]
    print(json.dumps({'sent': int(count), 'lost': lost,
                      'p50_ms': round(took_ms[len(took_ms) // 2], 2),
                      'p99_ms': round(took_ms[len(took_ms) * 99 // 100], 2),
                      'max_ms': round(took_ms[-1], 2)}))


main()
