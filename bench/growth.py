#!/usr/bin/env python3
"""How time and memory of training grow: measured with the real program, beside the law they should follow and `hyperx estimate`.

Usage: growth.py --hyperx build/release/bin/hyperx --small DIR [--large DIR] [--questions batch,languages,pairs,ranks,model]
                 [--threads 1] [--steps 6] [--folder DIR] [--json FILE] [--measured FILE]

--small     an encoder folder for most runs (examples/encoder)
--large     a folder of mBERT's size, for some points of batch and model; without it these are left out
--steps     counted steps a run; two more come before them. The best step counts: other programs on the machine only slow one down
--folder    where corpora and runs are made; without it a temporary one
--measured  the --json of an earlier run with the same --folder: nothing is measured again, only predicted

Time of a step is the main thread's own, as the kernel counts it: other programs do not add to it, and on a quiet machine it is the time
that passes. Of several ranks it is the time that passed.

Corpora are generated: sentences of equal length (20 words of one sub-word each, 22 tokens with [CLS] and [SEP], as long as those of
English EWT are on average), so that every step has as many tokens. Encoders have random weights. Peak memory is ru_maxrss of the
largest rank, with the checkpoint that every run ends with. The law is fitted to the measured points, `off` is what they depart from it.
`hyperx estimate` gets its rates from `hyperx-bench machine step` of the same encoder and threads at 32 sentences, run here too.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import common

UNCOUNTED = 2
WORDS, TOKENS = 20, 22  # of a sentence


def arguments():
    parser = common.parser(__doc__, "hyperx", "small")
    parser.add_argument("--large")
    parser.add_argument("--questions", default="batch,languages,pairs,ranks,model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--folder")
    parser.add_argument("--measured")
    return parser.parse_args()


def case(question, size, value, **settings):
    """One run. `size` names the encoder; `value` is what the question varies."""
    defaults = dict(languages=1, sentences=2048, batch=32, pairs=1, ranks=1, threads=None, projected=192)
    assert settings.keys() <= defaults.keys() | {"steps"}
    return dict(defaults, question=question, size=size, value=value, **settings)


def cases(options):
    wanted = options.questions.split(",")
    found = []
    for batch in (8, 16, 32, 64, 128, 256, 512):
        found.append(case("batch", "small", batch, batch=batch))
    for languages in (10, 100, 1000, 7000):
        found.append(case("languages", "small", languages, languages=languages, sentences=8, batch=8))
    for pairs in (1, 2, 4, 8):
        found.append(case("pairs", "small", pairs, pairs=pairs, languages=8))
    for ranks in (1, 2, 4):
        found.append(case("ranks", "small", ranks, ranks=ranks, threads=1))
    found.append(case("model", "small", "Small", projected=32))
    found.append(case("model", "small", "Base"))
    if options.large:
        for batch in (8, 32, 64):
            found.append(case("batch", "large", batch, batch=batch, steps=2))
        found.append(case("model", "large", "Small", projected=32, steps=2))
        found.append(case("model", "large", "Base", steps=2))
    return [each for each in found if each["question"] in wanted]


def cpu_seconds(pid):
    """Of the main thread: other programs do not add to it."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) * 1e-9


def watched(command, metrics):
    """Runs a command; returns its wall seconds, peak bytes, and the main thread's time at each line of `metrics`."""
    begin, times = time.monotonic(), []
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=errors)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            try:
                lines = metrics.read_bytes().count(b"\n")
                spent = cpu_seconds(child.pid)
            except (OSError, IndexError):
                lines = 0
            if lines > len(times):
                times += [spent] * (lines - len(times))
            time.sleep(0.003)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            sys.exit(f"growth: {' '.join(map(str, command))}\nended with {child.returncode}:\n{errors.read().decode()[-2000:]}")
    return time.monotonic() - begin, usage.ru_maxrss * 1024, times


def plain_words(encoder):
    lines = pathlib.Path(encoder, "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [word for word in lines if len(word) > 2 and word.isascii() and word.isalpha() and word.islower()][:500]


def corpus(options, folder, languages, sentences):
    """One file of `sentences` sentences, under as many language codes as asked for."""
    where = folder / f"corpus-{languages}-{sentences}"
    if where.exists():
        return where
    words = plain_words(options.small)
    lines = []
    for number in range(sentences):
        for place in range(WORDS):
            lines.append(f"{place + 1}\t{words[(number * 7 + place * 3) % len(words)]}\t_\tNOUN" + "\t_" * 6)
        lines.append("")
    (folder / "source.conllu").write_text("\n".join(lines) + "\n")
    rows = [("pos", f"l{number:04}", "train", "conllu", "source.conllu") for number in range(languages)]
    common.prepare(options.hyperx, options.small, rows, where)
    return where


def settings(options, each, folder):
    """What training and estimate are both told."""
    encoder = options.small if each["size"] == "small" else options.large
    return ["--model.encoder", "random:" + encoder, "--hyperx.projected_dim", each["projected"], "--data.corpus",
            corpus(options, folder, each["languages"], each["sentences"]), "--train.pairs", "pos:*", "--train.batch_sentences",
            each["batch"], "--train.pairs_per_step", each["pairs"], "--train.precision", "fp32", "--eval.every", 0,
            "--checkpoint.every", 0]


def measure(options, each, folder):
    where = folder / "run"
    shutil.rmtree(where, ignore_errors=True)
    steps = each.get("steps", options.steps)
    command = [options.hyperx, "train", "--run.dir", where, "--train.steps", UNCOUNTED + steps, "--train.warmup_steps", 1,
               "--threads", each["threads"] or options.threads] + settings(options, each, folder)
    if each["ranks"] > 1:
        command = ["mpirun", "--oversubscribe", "-np", each["ranks"]] + command
    wall, peak, times = watched(command, where / "metrics.jsonl")
    lines = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["event"] == "step"]
    checkpoint = sum(file.stat().st_size for file in where.glob("checkpoints/step-*/*"))
    shutil.rmtree(where)
    counted = lines[UNCOUNTED:]
    assert len({line["tokens"] for line in counted}) == 1, "steps of equal size"
    cpu = [after - before for before, after in zip(times[UNCOUNTED - 1:], times[UNCOUNTED:UNCOUNTED + steps])]
    seconds = min(cpu) if each["ranks"] == 1 else min(line["seconds"] for line in counted)
    return {"seconds": seconds, "wall": min(line["seconds"] for line in counted), "tokens": counted[0]["tokens"], "bytes": counted[0]["bytes_sent"],
            "peak": peak, "around": wall - sum(line["seconds"] for line in lines), "checkpoint": checkpoint}


def machine_file(options, each, folder):
    """`hyperx-bench` of the encoder and threads of a case."""
    threads = each["threads"] or options.threads
    path = folder / f"machine-{each['size']}-{threads}.json"
    if not path.exists():
        probe = case("", each["size"], 0, sentences=2048)
        common.run([common.bench_of(options.hyperx), "machine", "step", "--threads", threads, "--repeat", 2, "--json", path]
                   + settings(options, probe, folder)[:-4])
    return path


def predict(options, each, folder):
    path = folder / "estimate.json"
    common.run([options.hyperx, "estimate", "--machine", machine_file(options, each, folder), "--ranks", each["ranks"], "--threads",
                each["threads"] or options.threads, "--json", path] + settings(options, each, folder))
    row = json.loads(path.read_text())["rows"][0]
    return {"seconds": row["step_seconds"], "bytes": row["bytes_sent"], "peak": row["peak_bytes"],
            "checkpoint": row["checkpoint_bytes"]}


def line_fit(points):
    """a, b of y = a + b x, least squares of relative errors; one point: a alone."""
    weights = [1 / y ** 2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points))
    b = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points)) / spread if spread else 0.0
    return mean_y - b * mean_x, b


def percent(value, reference):
    return f"{100 * (value / reference - 1):+.0f} %" if reference else "-"


# Question: what is varied, its law for time, for memory, and the x of the law.
LAWS = {
    "batch": ("sentences", "a + b tokens", lambda each: each["found"]["tokens"]),
    "languages": ("languages", "a + b languages", lambda each: each["value"]),
    "pairs": ("K", "a + b K", lambda each: each["value"]),
}


def print_table(question, size, rows):
    name, law, x_of = LAWS.get(question, (question, None, None))
    fits = {key: line_fit([(x_of(row), row["found"][key]) for row in rows]) for key in ("seconds", "peak")} if law else {}
    for key, (a, b) in fits.items():
        unit, scale = ("ms", 1e3) if key == "seconds" else ("MB", 1e-6)
        print(f"\n{question}, {size} encoder: {'time' if key == 'seconds' else 'peak memory'} = {law}: a = {scale * a:.4g} {unit}, "
              f"b = {scale * b:.4g} {unit}", end="")
    print(f"\n\n| {name} | tokens | s a step | law is off | estimate | off | peak MB | law is off | estimate | off "
          "| sent MB | estimate | start and end s |")
    print("|" + " ---: |" * 13)
    for row in rows:
        found, guess = row["found"], row["guess"]
        off = {key: percent(a + b * x_of(row), found[key]) for key, (a, b) in fits.items()}
        print(f"| {row['value']} | {found['tokens']} | {found['seconds']:.3f} | {off.get('seconds', '-')} | {guess['seconds']:.3f} "
              f"| {percent(guess['seconds'], found['seconds'])} | {found['peak'] / 1e6:.0f} | {off.get('peak', '-')} "
              f"| {guess['peak'] / 1e6:.0f} | {percent(guess['peak'], found['peak'])} | {found['bytes'] / 1e6:.3f} "
              f"| {guess['bytes'] / 1e6:.3f} | {found['around']:.1f} |")


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if options.measured:
            rows = json.loads(pathlib.Path(options.measured).read_text())
            rows = [row for row in rows if row["question"] in options.questions.split(",")]
        else:
            rows = cases(options)
            for each in rows:
                each["found"] = measure(options, each, folder)
                # each time: a long run that is stopped keeps what it has
                common.write_json(options.json, [row for row in rows if "found" in row])
                print(f"# {each['question']} {each['size']} {each['value']}: {each['found']}", file=sys.stderr, flush=True)
        for each in rows:
            each["guess"] = predict(options, each, folder)
        for question, size in dict.fromkeys((each["question"], each["size"]) for each in rows):
            print_table(question, size, [each for each in rows if (each["question"], each["size"]) == (question, size)])


if __name__ == "__main__":
    main()
