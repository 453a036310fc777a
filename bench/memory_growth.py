#!/usr/bin/env python3
"""Whether a long run's memory grows: what the program holds after 2,000 steps and at every tenth of the whole.

Usage: memory_growth.py --hyperx build/release/bin/hyperx --corpus DIR --encoder DIR --folder DIR [--batches 2,16,32] [--steps 100000]
                        [--replay STEPS] [--json FILE] [-- SETTINGS...]

--corpus    what `hyperx prepare` wrote
--folder    where runs and records lie
--replay    train so many steps only, with every allocation of 16 KiB and more recorded (bench/allocations/record.c); then --steps steps
            drawn from these are replayed with jemalloc as the program sets it (replay.c): the same sizes, order and arenas without the
            arithmetic, for encoders of which 100,000 steps take days
SETTINGS    of hyperx train, such as --hyperx.adapter_dim 8

Without evaluation and checkpoints. Memory of a run is anonymous and resident (RssAnon), of a replay jemalloc's stats.resident; in MB.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import common

ALLOCATIONS = pathlib.Path(__file__).resolve().parent / "allocations"
FIRST = 50  # the first line stands at 1 / FIRST of the steps


def arguments():
    parser = common.parser(__doc__, "hyperx", "corpus", "encoder", "folder")
    parser.add_argument("--batches", default="2,16,32")
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--replay", type=int, default=0, metavar="STEPS")
    parser.add_argument("settings", nargs="*")
    return parser.parse_args()


def start(options, batch, steps, environment):
    run = pathlib.Path(options.folder) / f"run-{batch}"
    shutil.rmtree(run, ignore_errors=True)
    words = [options.hyperx, "train", "--data.corpus", options.corpus, "--model.encoder", options.encoder, "--train.batch_sentences", batch,
             "--train.steps", steps, "--eval.every", 0, "--checkpoint.every", 0, "--run.dir", run, *options.settings]
    return run, subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, **environment})


def finish(process):
    said = process.communicate()[1]
    if process.returncode != 0:
        raise SystemExit(f"memory_growth: hyperx train ended with {process.returncode}:\n{said[-1000:]}")


def anonymous_mb(process):
    try:
        found = re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else None
    except OSError:
        return None


def last_step(run):
    try:
        with open(run / "metrics.jsonl", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            found = re.findall(rb'"step":(\d+)', file.read())
        return int(found[-1]) if found else 0
    except OSError:
        return 0


def measure(options, batch):
    """[(step, MB)]"""
    run, process = start(options, batch, options.steps, {})
    marks = [options.steps // FIRST, *range(options.steps // 10, options.steps, options.steps // 10), options.steps - options.steps // FIRST]
    found = []
    while marks and process.poll() is None:
        time.sleep(0.2)
        step, held = last_step(run), anonymous_mb(process)
        if held and step >= marks[0]:
            found.append((step, held))
            marks = [mark for mark in marks if mark > step]
    finish(process)
    return found


def replay(options, batch):
    folder = pathlib.Path(options.folder)
    common.run(["cc", "-O2", "-shared", "-fPIC", "-o", folder / "record.so", ALLOCATIONS / "record.c", "-ldl"])
    common.run(["cc", "-O2", "-o", folder / "replay", ALLOCATIONS / "replay.c", "-ljemalloc"])
    records = folder / f"records-{batch}"
    _, process = start(options, batch, options.replay, {"LD_PRELOAD": str((folder / "record.so").resolve()),
                                                        "HYPERX_ALLOCATIONS": str(records.resolve())})
    finish(process)
    source = (ALLOCATIONS.parents[1] / "src/app/allocator.cpp").read_text()
    os.environ["MALLOC_CONF"] = re.search(r'malloc_conf =\s*"([^"]+)"', source)[1]
    said = common.run([folder / "replay", records, options.steps])
    print(f"# {said.splitlines()[0]}", flush=True)
    return [(int(step), int(held)) for step, held in re.findall(r"step (\d+): \d+ MB allocated, (\d+) MB held", said)]


def main():
    options = arguments()
    pathlib.Path(options.folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    figures = {}
    for batch in options.batches.split(","):
        found = (replay if options.replay else measure)(options, batch)
        figures[batch] = found
        growth = 100 * (found[-1][1] / found[0][1] - 1)
        print(f"batches of {batch}: " + ", ".join(f"step {step}: {held:.0f}" for step, held in found) + f" MB; {growth:+.1f} %", flush=True)
    common.write_json(options.json, figures)


if __name__ == "__main__":
    main()
