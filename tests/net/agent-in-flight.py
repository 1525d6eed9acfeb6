#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""agent-in-flight.py SERVICE LOG WORKERS: reports on standard input (agent-receive.py) against the log of
scripts/lab/server.c. At the very moments when the reports were measured, how many requests were
being worked on, and how many were at the server in all? Prints, as sums over all reports,
"REPORTS IN_FLIGHT LOGGED PRESENT LOGGED"."""
import bisect
import json
import sys


def at(times, moment):
    return bisect.bisect_right(times, moment)


def main():
    service, log, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(log, encoding="ascii") as file:
        rows = [[int(field) for field in line.split("\t")[:3]] for line in file]
    arrived, started, ended = (sorted(column) for column in zip(*rows))
    sums = [0] * 5
    for line in sys.stdin:
        one = json.loads(line).get(service)
        if not one or not arrived[0] <= one["measured_at_us"] <= ended[-1]:
            continue
        moment = one["measured_at_us"]
        in_flight = one.get("in_flight", 0)
        working = at(started, moment) - at(ended, moment)
        present = at(arrived, moment) - at(ended, moment)
        assert working <= workers
        for i, value in enumerate((1, in_flight, working, in_flight + one.get("queued", 0), present)):
            sums[i] += value
    print(*sums)


main()
