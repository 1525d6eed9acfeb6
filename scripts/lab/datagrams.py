#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Numbered datagrams, of which each one that is lost shows.

datagrams.py serve SITE PORT ADDRESS...: answers each with the site's name.
datagrams.py send LOG PORT RATE FLOWS ADDRESS...: RATE a second by FLOWS sockets in turn, half of which
go to each address. LOG gets a line for each that was not answered within 3 s: Unix time in
microseconds, and the site that answered on that socket last. Ends on SIGINT or SIGTERM.
"""
import collections
import select
import signal
import socket
import struct
import sys
import time

PATIENCE_S = 3


def udp(address):
    return socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)


def serve(site, port, *addresses):
    links = [udp(address) for address in addresses]
    for link, address in zip(links, addresses):
        link.bind((address, int(port)))
    print('ready', flush=True)
    while True:
        for link in select.select(links, [], [])[0]:
            data, source = link.recvfrom(64)
            link.sendto(data + site.encode(), source)


class Sender:
    def __init__(self, log, port, flows, addresses):
        self.log, self.flows = open(log, 'w', buffering=1), []
        for number in range(flows):
            link = udp(addresses[number % len(addresses)])
            link.connect((addresses[number % len(addresses)], port))
            link.setblocking(False)
            self.flows.append(link)
        self.site = {link: '-' for link in self.flows}
        self.open = collections.OrderedDict()  # number -> when it was sent, on which socket
        self.sent = self.lost = 0

    def send(self):
        link = self.flows[self.sent % len(self.flows)]
        self.open[self.sent] = (time.time(), link)
        for _ in range(2):  # an ICMP error about an earlier one is told instead of sending
            try:
                link.send(struct.pack('>I', self.sent))
                break
            except OSError:
                pass
        self.sent += 1

    def receive(self, link):
        try:
            data = link.recv(64)
        except OSError:
            return
        self.site[link] = data[4:].decode()
        self.open.pop(struct.unpack('>I', data[:4])[0], None)

    def give_up(self, patience_s):
        while self.open:
            number, (when, link) = next(iter(self.open.items()))
            if time.time() - when < patience_s:
                return
            del self.open[number]
            self.lost += 1
            self.log.write(f'{int(when * 1e6)}\t{self.site[link]}\n')


def send(log, port, rate, flows, *addresses):
    sender, rate = Sender(log, int(port), int(flows), addresses), float(rate)
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(1))
    due, poll = time.monotonic(), select.epoll()
    by_number = {link.fileno(): link for link in sender.flows}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    print('ready', flush=True)
    until = None
    while until is None or time.monotonic() < until and sender.open:
        for number, _ in poll.poll(max(0, min(due - time.monotonic(), 0.1))):
            sender.receive(by_number[number])
        if stopped:
            until = until or time.monotonic() + PATIENCE_S
        elif time.monotonic() >= due:
            sender.send()
            due += 1 / rate
        sender.give_up(PATIENCE_S)
    sender.give_up(0)
    print(f'sent {sender.sent}, lost {sender.lost}', flush=True)


{'serve': serve, 'send': send}[sys.argv[1]](*sys.argv[2:])
