#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Changes of the edge's next hops under traffic, for nexthop.sh: nexthop.py LAB DATAPLANE_PID

The client sends a datagram a millisecond to each of two services: `moving` (its way changes) and
`staying` (on o1 all the while). Every change is made by an `ip -batch` that is running already, and
ends with the first packet of `moving` on its new way, by the kernel's receive timestamps in the
router. Prints a JSON object for each case.
"""
import ctypes
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

LAB, DATAPLANE = sys.argv[1], int(sys.argv[2])
SERVICE = '192.0.2.80'
MOVING, STAYING, NOWHERE = 90, 91, 92
ROUNDS = 5
FLOOD_PER_S = 30000  # and yet no ring of `staying` overflows when the host is busy for 50 ms
SO_TIMESTAMPNS, ETH_P_ALL, CLONE_NEWNET = 35, 3, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(role):
    with open(f'/run/netns/suanlu-{LAB}-{role}', encoding='ascii') as namespace:
        if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'setns')


class Kernel:
    """ip commands in a namespace, at once"""

    def __init__(self, role):
        self.ip = subprocess.Popen(['ip', '-n', f'suanlu-{LAB}-{role}', '-force', '-batch', '-'],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def do(self, *lines):
        self.ip.stdin.write(''.join(line + '\n' for line in lines).encode())
        self.ip.stdin.flush()


def capture(interface):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    link.bind((interface, ETH_P_ALL))
    link.setblocking(False)
    return link


class Seen:
    """A datagram to a service in SRv6: when, by which interface and to which MAC"""

    def __init__(self, interface, frame, ns):
        self.interface, self.ns = interface, ns
        self.mac = frame[:6].hex(':')
        self.bytes = len(frame)
        self.port, = struct.unpack_from('!H', frame, 14 + 40 + 20 + 2)
        self.sequence, = struct.unpack_from('!Q', frame, 14 + 40 + 20 + 8)


class Router:
    def __init__(self):
        enter('router')
        self.links = [capture('e0'), capture('e1')]
        self.got = {MOVING: set(), STAYING: set(), NOWHERE: set()}

    def read(self):
        """What has arrived since the last call, in order of time"""
        seen = []
        for link in self.links:
            while True:
                try:
                    frame, control, _, address = link.recvmsg(2048, 128)
                except OSError:  # nothing more, or told once that the link went down
                    break
                if address[2] == socket.PACKET_OUTGOING or frame[12:14] != b'\x86\xdd' or \
                        frame[20] != 4 or frame[54 + 9] != 17:
                    continue
                s, ns = struct.unpack('qq', control[0][2][:16])
                seen.append(Seen(address[0], frame, s * 10**9 + ns))
        for packet in seen:
            self.got[packet.port].add(packet.sequence)
        return sorted(seen, key=lambda packet: packet.ns)

    def wait(self, since_ns, wanted, seconds=3.0):
        """ms until the first packet that `wanted` likes"""
        until = time.time() + seconds
        while time.time() < until:
            for packet in self.read():
                if packet.ns >= since_ns and wanted(packet):
                    return (packet.ns - since_ns) / 1e6
            time.sleep(0.001)
        raise TimeoutError


def send(ports, per_s, first, size=200):
    """In a process of its own, until it is ended: datagrams numbered from `first` on"""
    child = os.fork()
    if child:
        return child
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    enter('client')
    # not connected: the sites' "port unreachable" would make sends fail
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER: IP_PMTUDISC_PROBE, DF always
    start, number = time.monotonic(), first
    while True:
        for port in ports:
            link.sendto(struct.pack('!Q', number).ljust(size, b'x'), (SERVICE, port))
        number += 1
        late = start + (number - first) / per_s - time.monotonic()
        if late > 0:
            time.sleep(late)


def end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def lost(router, port):
    got = router.got[port]
    missing = max(got) - min(got) + 1 - len(got) if got else -1
    router.got[port] = set()
    return missing


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def figures(took):
    return {'changes': len(took), 'p50_ms': round(statistics.median(took), 3),
            'max_ms': round(max(took), 3)}


def better(rounds):
    """Of two times, if the first is slow: a busy host is so now and then, a fault each time"""
    took = rounds()
    if statistics.median(took) < 10:
        return took
    return min(took, rounds(), key=statistics.median)


def rounds_of(router, steps):
    took = []
    for _ in range(ROUNDS):
        for kernel, lines, wanted in steps:
            since = now_ns()
            kernel.do(*lines)
            try:
                took.append(router.wait(
                    since, lambda p, wanted=wanted: p.port == MOVING and wanted(p)))
            except TimeoutError:
                took.append(1e9)
            time.sleep(0.04)
    return took


def case(name, router, steps):
    """steps: of each round, (kernel, lines, wanted); prints how long each took"""
    child = send([MOVING, STAYING], 1000, 1)
    try:
        router.wait(0, lambda packet: packet.port == STAYING)
        router.wait(0, lambda packet: packet.port == MOVING)
        router.got = {port: set() for port in router.got}
        took = better(lambda: rounds_of(router, steps))
    finally:
        end(child)
    time.sleep(0.05)
    router.read()
    print(json.dumps({'case': name, **figures(took),
                      'moving_lost': lost(router, MOVING), 'staying_lost': lost(router, STAYING)}),
          flush=True)


def on(interface, mac=None, larger=0):
    return lambda packet: packet.interface == interface and packet.bytes > larger and \
        mac in (None, packet.mac)


def cases(edge, router_kernel, router):
    macs = ['02:00:00:00:0e:01', '02:00:00:00:0e:02']
    case('neighbour-mac', router, [
        (router_kernel, [f'link set e0 address {mac}'], on('e0', mac)) for mac in macs])
    by = [('o0', 'fd00:e::2', 'e0'), ('o1', 'fd00:e1::2', 'e1')]
    case('route', router, [
        (edge, [f'route replace fc00:a::/48 via {hop} dev {out}'], on(there))
        for out, hop, there in reversed(by)])
    edge.do('nexthop add id 10 via fd00:e::2 dev o0',
            'route add fc00:a:0:4::/64 nhid 10')
    case('nexthop-object', router, [
        (edge, [f'nexthop replace id 10 via {hop} dev {out}'], on(there))
        for out, hop, there in reversed(by)])
    edge.do('nexthop add id 11 via fd00:e1::2 dev o1', 'nexthop replace id 10 via fd00:e::2 dev o0',
            'nexthop add id 20 group 10/11', 'route replace fc00:a:0:4::/64 nhid 20')
    case('nexthop-group', router, [
        (edge, [f'nexthop replace id 20 group {member}'], on(there))
        for member, there in ((10, 'e0'), (11, 'e1'))])
    edge.do('route del fc00:a:0:4::/64')
    # by o1 now, and to o0 while there is a better route
    edge.do('route replace fc00:a::/48 via fd00:e1::2 dev o1')
    case('link-down', router, [
        (edge, ['link set o0 up', 'route add fc00:a:0:4::/64 via fd00:e::2 dev o0 metric 5'],
         on('e0')),
        (edge, ['link set o0 down'], on('e1'))])
    edge.do('link set o0 up', 'route add fc00:a:0:4::/64 via fd00:e::2 dev o0 metric 5')
    case('carrier', router, [
        (router_kernel, ['link set e0 up'], on('e0')),
        (router_kernel, ['link set e0 down'], on('e1'))])
    router_kernel.do('link set e0 up')
    time.sleep(0.2)


def mtu(edge, router):
    """From the change until a datagram of 1,440 bytes no longer goes, or goes again"""
    child = send([MOVING], 1000, 1, 1440 - 28)

    def rounds():
        took = []
        for _ in range(ROUNDS):
            since = now_ns()
            edge.do('link set o0 mtu 1400')
            time.sleep(0.06)
            times = [p.ns for p in router.read() if p.port == MOVING and p.ns >= since]
            took.append((max(times) - since) / 1e6 if times else 0)
            since = now_ns()
            edge.do('link set o0 mtu 1600')
            took.append(router.wait(since, lambda packet: packet.port == MOVING))
            time.sleep(0.02)
        return took

    try:
        took = better(rounds)
    finally:
        end(child)
    router.got = {port: set() for port in router.got}
    print(json.dumps({'case': 'mtu', **figures(took), 'moving_lost': 0, 'staying_lost': 0}))


def memory_kb():
    with open(f'/proc/{DATAPLANE}/status', encoding='ascii') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))


def missed():
    """Packets from the client that found the dataplane's ring full, which it cannot have seen"""
    link = subprocess.run(['ip', '-n', f'suanlu-{LAB}-edge', '-s', '-j', 'link', 'show', 'c0'],
                          capture_output=True, check=True).stdout
    return json.loads(link)[0]['stats64']['rx']['dropped']


def unresolved(edge, router_kernel, router):
    """A flood to a neighbour that does not answer, beside `staying`; then it does"""
    edge.do('route replace fc00:c::/48 via fd00:e::99 dev o0')
    calm = send([STAYING], 1000, 1)
    router.wait(0, lambda packet: packet.port == STAYING)
    router.got[STAYING] = set()
    before, missed_before = memory_kb(), missed()
    flood = send([NOWHERE], FLOOD_PER_S, 1)
    time.sleep(1)
    router.read()
    grown = memory_kb() - before
    since = now_ns()
    router_kernel.do('address add fd00:e::99/64 dev e0 nodad')
    took = router.wait(since, lambda packet: packet.port == NOWHERE, 4)
    end(flood)
    end(calm)
    time.sleep(0.05)
    router.read()
    print(json.dumps({'case': 'unresolved', 'flood_packets': max(router.got[NOWHERE]),
                      'memory_grown_kb': grown, 'resolved_ms': round(took, 3),
                      'missed': missed() - missed_before,
                      'staying_lost': lost(router, STAYING)}), flush=True)
    router.got = {port: set() for port in router.got}


def drops():
    """Notifications that the kernel could not hand to the dataplane"""
    enter('edge')
    with open('/proc/net/netlink', encoding='ascii') as table:
        rows = [line.split() for line in table][1:]
    enter('router')
    return sum(int(row[8]) for row in rows if row[1] == '0')


def overrun(edge, router):
    """The dataplane sleeps while more happens than its socket can hold, the change among it"""
    def many(verb):
        return [f'route {verb} 2001:db8:ffff:{n >> 4:x}:{n & 15:x}::/80 dev o1' for n in range(6000)]

    child = send([MOVING], 1000, 1)
    router.wait(0, lambda packet: packet.port == MOVING and packet.interface == 'e0')
    before = drops()
    os.kill(DATAPLANE, signal.SIGSTOP)
    edge.do(*many('add'), 'route del fc00:a:0:4::/64',
            'route replace fc00:a::/48 via fd00:e1::2 dev o1', *many('del'))
    while subprocess.run(['ip', '-6', '-n', f'suanlu-{LAB}-edge', 'route', 'show',
                          '2001:db8:ffff:176:f::/80'], capture_output=True, check=True).stdout or \
            b'o1' not in subprocess.run(['ip', '-6', '-n', f'suanlu-{LAB}-edge', 'route', 'show',
                                         'fc00:a::/48'], capture_output=True, check=True).stdout:
        time.sleep(0.05)
    router.read()
    since = now_ns()
    os.kill(DATAPLANE, signal.SIGCONT)
    took = router.wait(since, lambda packet: packet.port == MOVING and packet.interface == 'e1')
    end(child)
    print(json.dumps({'case': 'overrun', 'notifications_lost': drops() - before,
                      'took_ms': round(took, 3)}), flush=True)


def main():
    edge, router_kernel, router = Kernel('edge'), Kernel('router'), Router()
    cases(edge, router_kernel, router)
    mtu(edge, router)
    unresolved(edge, router_kernel, router)
    overrun(edge, router)


main()
