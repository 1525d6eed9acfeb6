#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What faults did, from the logs of bench-faults.sh.

faults.py DIR HELD JSON: DIR has faults.log, hold.log, load.log and datagrams.log; prints a table, writes
JSON and, for gnuplot, DIR/faults.tsv.
"""
import collections
import json
import math
import pathlib
import sys

HOLD_TIMEOUT_US = 10_000_000
SLOW_US = 1_000_000
NOTICED_US = 1_000_000  # a dead site's new requests are the fault's own until it is found silent
INTERVAL_US = 200_000  # of a connection's records
ROUND_US = 50_000  # from a client to a site
TOLD_MAX = 3  # of each fault
DATAPLANE_KILLS = ('dataplane-kill', 'gateway-kill')


def rows(path):
    with open(path) as lines:
        for line in lines:
            if line.endswith('\n'):
                yield line.rstrip('\n').split('\t')


class Fault:
    def __init__(self, kind, victim, began, lifted, well):
        self.kind, self.victim = kind, victim
        self.began, self.lifted, self.well = int(began), int(lifted), int(well)
        self.broken = self.failed = self.lost = self.own = self.told = 0
        self.late_us = 0  # when the last bad request began, or the last lost datagram was sent

    def owns(self, site):
        """Of a dead site's connections some had not been answered yet: theirs is not known."""
        return self.kind == 'site-death' and site in (self.victim, '-')

    def ended(self, site, begun_us, when_us):
        """That may be heard late: the site's kernel tells it again in ever longer intervals."""
        return self.owns(site) and begun_us <= self.lifted and when_us >= self.began

    def owns_request(self, due_us):
        return self.kind == 'site-death' and due_us < self.began + NOTICED_US

    def tell(self, what, when_us):
        self.told += 1
        if self.told <= TOLD_MAX:
            print(f'   {what}, {(when_us - self.began) / 1e6:.2f} s after {self.kind} of '
                  f'{self.victim} began')

    def recover_ms(self):
        return max(self.well - self.lifted, self.late_us - self.lifted, 0) / 1000


def blamed(faults, begun_us, ended_us):
    """The fault that had begun last; the next, if all was well when this began, and then it did."""
    found = None
    for fault in faults:
        if fault.began > (ended_us if found and begun_us > found.well else begun_us):
            break
        found = fault
    return found


def connections(faults, path):
    for site, _, why, when, begun in rows(path):
        if why == '-':
            continue
        when, begun = int(when) - (HOLD_TIMEOUT_US if why == 'silent' else 0), int(begun)
        owner = [f for f in faults if f.ended(site, begun, when)]
        fault = owner[-1] if owner else blamed(faults, when, when + INTERVAL_US)
        if owner:
            fault.own += 1
        elif fault:
            fault.broken += 1
            fault.tell(f'broken: a connection to {site} ({why})', when)


def requests(faults, path):
    for due, latency, site, failure in rows(path):
        due = int(due)
        fault = blamed(faults, due, due + int(latency))
        if not fault:
            continue
        if fault.owns_request(due):
            fault.own += failure != '-'
            continue
        if failure != '-':
            fault.failed += 1
            fault.tell(f'failed: a request ({failure})', due)
        if failure != '-' or int(latency) > SLOW_US:
            fault.late_us = max(fault.late_us, due)


def datagrams(faults, path):
    for when, site in rows(path):
        fault = blamed(faults, int(when), int(when) + ROUND_US)
        if fault and not fault.owns(site):
            fault.lost += 1
            fault.late_us = max(fault.late_us, int(when))


def quantile(values, q):
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def summary(kind, faults, held):
    times, foreign = len(faults), sum(f.broken + f.failed for f in faults)
    recover = [f.recover_ms() for f in faults]
    lost = [f.lost for f in faults]
    return {'fault': kind, 'times': times, 'foreign_connections_broken': foreign,
            'own_connections_broken': sum(f.own for f in faults),
            'recover_ms_p50': round(quantile(recover, 0.5)), 'recover_ms_max': round(max(recover)),
            'datagrams_lost_p50': quantile(lost, 0.5), 'datagrams_lost_max': max(lost),
            'connections_held': held * times,
            'allowed': held * times // 100 if kind in DATAPLANE_KILLS else 0}


def main(directory, held, out):
    directory, held = pathlib.Path(directory), int(held)
    faults = [Fault(*row) for row in rows(directory / 'faults.log')]
    connections(faults, directory / 'hold.log')
    requests(faults, directory / 'load.log')
    datagrams(faults, directory / 'datagrams.log')
    kinds = collections.defaultdict(list)
    for fault in faults:
        kinds[fault.kind].append(fault)
    result = [summary(kind, kinds[kind], held) for kind in sorted(kinds)]
    print(f'{"fault":20} {"times":>5} {"foreign":>8} {"own":>5} {"held":>6} {"lost p50":>9} {"lost max":>9} '
          f'{"recover p50":>12} {"max ms":>8}')
    with open(directory / 'faults.tsv', 'w') as tsv:
        for r in result:
            print(f'{r["fault"]:20} {r["times"]:5} {r["foreign_connections_broken"]:8} '
                  f'{r["own_connections_broken"]:5} {r["connections_held"]:6} {r["datagrams_lost_p50"]:9} '
                  f'{r["datagrams_lost_max"]:9} {r["recover_ms_p50"]:12} {r["recover_ms_max"]:8}')
            tsv.write(f'{r["fault"]}\t{r["recover_ms_p50"]}\t{r["recover_ms_max"]}\t'
                      f'{r["datagrams_lost_max"]}\n')
    with open(out, 'w') as file:
        json.dump(result, file, indent=1)


main(*sys.argv[1:])
