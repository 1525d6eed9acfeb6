#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A scenario that nobody tuned anything for: scenario.py SEED, YAML on standard output.

3 to 14 sites of 1 to 100 servers and 1 to 12 edges, at random in a square of 3 to 60 ms; work of 2
to 200 ms, log-normal or Pareto; 0.3 to 0.9 of the capacity is asked for; some of the demand swings and
comes in bursts, some reports are lost. So long that about 200,000 requests come.
"""
import math
import random
import sys

seed = int(sys.argv[1])
chance = random.Random(seed)


def whole(least, most):
    return least + int(chance.random() * (most - least + 1))


def one_of(*values):
    return values[int(chance.random() * len(values))]


def logarithmic(least, most):
    return math.exp(math.log(least) + chance.random() * math.log(most / least))


def place():
    return chance.random(), chance.random()


largest, mean_ms, square_ms = one_of(8, 32, 100), logarithmic(3, 100), one_of(3, 10, 30, 60)
sites = [(place(), int(logarithmic(1, largest)), mean_ms * one_of(0.5, 0.8, 1, 1.2, 2))
         for _ in range(whole(3, 14))]
edges = [place() for _ in range(one_of(1, 2, 3, 5, 8, 12))]
capacity_per_s = sum(1000 * servers / work_ms for _, servers, work_ms in sites)
utilisation = one_of(0.3, 0.5, 0.7, 0.8, 0.9)
seconds = min(600, max(15, 200000 / (capacity_per_s * utilisation)))

print(f'name: random-{seed}\nseed: {seed}\nduration_s: {seconds:.0f}\nwarmup_s: 8\nsites:')
for number, (_, servers, work_ms) in enumerate(sites):
    print(f'  - {{name: s{number}, servers: {servers}, service_time_ms: {work_ms:.2f}}}')
print('edges:')
for number, edge in enumerate(edges):
    delays = ', '.join(f'{0.5 + square_ms * math.dist(edge, site[0]):.1f}' for site in sites)
    print(f'  - {{name: e{number}, delay_ms: [{delays}]}}')
print(f'demand: {{utilisation: {utilisation}, swing: {one_of(0, 0.4, 0.8)}, period_s: 10, '
      f'burst: {one_of(1, 1.5, 2)}}}')
print('work:', one_of(f'{{kind: lognormal, scv: {one_of(0.5, 1, 4, 8)}}}',
                      f'{{kind: pareto, shape: {one_of(2.2, 2.5, 3)}}}'))
print(f'telemetry: {{loss: {one_of(0, 0, 0.05)}}}')
