#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Passes datagrams on, and meddles with them when told to.

meddler.py FIFO [ADDRESS]:PORT [ADDRESS]:PORT: from the first to the second. Lines written to FIFO
(created) say how: "loss PERCENT", "duplicate COPIES", "reorder MS" (each waits up to so long, drawn
anew), "clear". Prints "ready", and at the end how many came and how many it sent.
"""
import heapq
import os
import random
import select
import signal
import socket
import sys
import time


def endpoint(text):
    address, port = text.rsplit(':', 1)
    return address.strip('[]'), int(port)


class Meddler:
    def __init__(self, fifo, inward, outward):
        os.path.exists(fifo) or os.mkfifo(fifo, 0o600)
        self.fifo = os.fdopen(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), 'r')
        self.link = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.link.bind(inward)
        self.out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.outward = outward
        self.draws = random.Random(1)
        self.waiting, self.came, self.sent = [], 0, 0
        self.clear()

    def clear(self):
        self.loss, self.copies, self.reorder_s = 0.0, 1, 0.0

    def command(self, words):
        if words == ['clear']:
            self.clear()
        elif words[0] == 'loss':
            self.loss = float(words[1]) / 100
        elif words[0] == 'duplicate':
            self.copies = int(words[1])
        elif words[0] == 'reorder':
            self.reorder_s = float(words[1]) / 1000
        else:
            print(f'meddler: no such command: {words}', file=sys.stderr, flush=True)

    def take(self, data):
        self.came += 1
        if self.draws.random() < self.loss:
            return
        for _ in range(self.copies):
            due = time.monotonic() + self.draws.random() * self.reorder_s
            heapq.heappush(self.waiting, (due, self.draws.random(), data))

    def send_due(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            try:
                self.out.sendto(heapq.heappop(self.waiting)[2], self.outward)
                self.sent += 1
            except OSError:  # nobody listens
                pass

    def turn(self):
        wait = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
        ready, _, _ = select.select([self.link, self.fifo], [], [], wait)
        if self.link in ready:
            self.take(self.link.recv(65536))
        if self.fifo in ready:
            for line in self.fifo:
                if line.split():
                    self.command(line.split())
        self.send_due()


def main():
    meddler = Meddler(sys.argv[1], *map(endpoint, sys.argv[2:4]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print('ready', flush=True)
    try:
        while True:
            meddler.turn()
    finally:
        print(f'came {meddler.came}, sent {meddler.sent}', flush=True)


main()
