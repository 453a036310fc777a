#!/usr/bin/env python3
"""Compares the event files of a run, as TensorBoard itself reads them, with its metrics.jsonl.

usage: tests/tools/check_tensorboard.py RUN
Prints the number of values and exits with 0, or with 1 at the first that differs. Needs the package tensorboard.
"""
import json
import math
import pathlib
import sys

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def values_of_metrics(path):
    """{tag: [(step, value)]}, as docs/file_formats.md says."""
    expected = {}
    for line in path.read_text().splitlines():
        line = json.loads(line)
        values = {}
        if line["event"] == "step":
            for key in ("loss", "learning_rate", "grad_norm"):
                values[key] = math.nan if line[key] is None else line[key]
            if line["spread"] is not None:
                values["spread"] = line["spread"]
            if line["seconds"] > 0:
                values["tokens_per_second"] = line["tokens"] / line["seconds"]
        if line["event"] == "evaluation":
            for key, infix in (("metrics", "/"), ("novel", "/novel/")):
                for name, value in line.get(key, {}).items():
                    values[line["pair"] + infix + name] = math.nan if value is None else value
        for tag, value in values.items():
            expected.setdefault(tag, []).append((line["step"], value))
    return expected


def main():
    run = pathlib.Path(sys.argv[1])
    expected = values_of_metrics(run / "metrics.jsonl")
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = set(accumulator.Tags()["scalars"])
    if tags != set(expected):
        sys.exit(f"tags differ: {sorted(tags ^ set(expected))}")
    count, times = 0, []
    for tag, pairs in expected.items():
        events = accumulator.Scalars(tag)
        found = [event.step for event in events]
        if found != [step for step, _ in pairs]:
            sys.exit(f"{tag}: steps {found}, metrics.jsonl has {[step for step, _ in pairs]}")
        for event, (step, value) in zip(events, pairs):
            if not numpy.array_equal(numpy.float32(event.value), numpy.float32(value), equal_nan=True):
                sys.exit(f"{tag}: {event.value} at step {step}, metrics.jsonl has {value}")
        if [event.wall_time for event in events] != sorted(event.wall_time for event in events):
            sys.exit(f"{tag}: its times do not ascend")
        count += len(pairs)
    print(f"{count} values of {len(expected)} tags are equal")


if __name__ == "__main__":
    main()
