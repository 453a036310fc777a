#!/usr/bin/env python3
"""Compares hyperx's resampling with scipy's on the same counts: tests/report/resampling_test.cpp writes the file.

usage: resample_with_scipy.py FILE    exit code 1, with a line for each disagreement
"""
import json
import sys

import numpy
import scipy.stats

TRIALS = 20000
FIVE_DEVIATIONS = 5 * (0.25 / TRIALS) ** 0.5  # of a share that two simulations estimate; generous
BOUND = 0.004  # of a quantile: the bounds lie some 0.1 apart

with open(sys.argv[1], encoding="utf-8") as file:
    ours = json.load(file)
runs = numpy.array(ours["runs"], dtype=float)  # [runs, sentences, (part, whole)]
first = ours["first"]


def score(counts, axis=-1):
    return counts[..., 0].sum(axis=axis) / counts[..., 1].sum(axis=axis)


wrong = 0


def check(what, mine, theirs, tolerance):
    global wrong
    fits = abs(mine - theirs) <= tolerance
    wrong += not fits
    print(f"{'agrees  ' if fits else 'DIFFERS '} {what}: hyperx {mine:.5f}, scipy {theirs:.5f}")


a, b = runs[0], runs[first]
check("difference", ours["difference"], score(a) - score(b), 1e-12)

# Sentences are the units whose outcomes are exchanged; a unit is an index into the counts of the two systems.
table = numpy.concatenate([a, b])
units = numpy.arange(len(a))
tested = scipy.stats.permutation_test(
    (units, units + len(a)), lambda x, y, axis: score(table[x.astype(int)], axis) - score(table[y.astype(int)], axis),
    permutation_type="samples", n_resamples=TRIALS, vectorized=True, random_state=1)
check("p of the permutation test", ours["p"], tested.pvalue, 2 * FIVE_DEVIATIONS)

interval = scipy.stats.bootstrap(
    (units,), lambda x, axis: score(a[x.astype(int)], axis) - score(b[x.astype(int)], axis), n_resamples=TRIALS,
    method="percentile", vectorized=True, random_state=1).confidence_interval
check("lower bound, sentences", ours["interval"][0], interval.low, BOUND)
check("upper bound, sentences", ours["interval"][1], interval.high, BOUND)

draw = numpy.random.default_rng(1)
differences = []
for _ in range(TRIALS):
    sentences = draw.integers(0, runs.shape[1], runs.shape[1])
    scores = score(runs[:, sentences])
    mine = scores[draw.integers(0, first, first)].mean()
    differences.append(mine - scores[draw.integers(first, len(runs), len(runs) - first)].mean())
low, high = numpy.percentile(differences, [2.5, 97.5])
check("lower bound, runs and sentences", ours["interval_of_runs"][0], low, BOUND)
check("upper bound, runs and sentences", ours["interval_of_runs"][1], high, BOUND)
sys.exit(1 if wrong else 0)
