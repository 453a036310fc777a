#!/usr/bin/env python3
"""A training step against the PyTorch peer: same model size, data, batch size, dropout, threads, in turns on one machine.

Usage: step_bench.py --hyperx build/release/bin/hyperx --data DIR --encoder DIR [--python PROGRAM]
                     [--threads 2] [--precision fp32] [--steps 8] [--repeat 2] [--plain] [--original] [--json FILE]

--data    the collection that the peer reads (bench/peers/README.md)
--encoder a folder with BERT's config.json and vocab.txt; both sides take it with random weights
--python  an interpreter that has torch, tokenizers and numpy
--plain   also the peer as one writes it first: padded to each batch's longest sentence, without the faster options
--original  also the peer as the authors' code works: padded to 256, one step in the place of four (it takes half a minute)

Both train Hyper-X Base on pos:en, 32 sentences a step, dropout 0.1, Adam with clip. Each draws batches of its own, so tokens
a second count, not seconds a step. Two steps are not counted. Of the repeats the best is taken: other programs on the machine
can only slow a run down. The limit is the time of the step's products at the best rate that one product of the feed-forward
layer reaches, by the peer's own count of operations.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

import common

UNCOUNTED = 2
PRODUCT = """
import sys, time, torch
threads, name = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
kind = torch.bfloat16 if name == "bf16" else torch.float32
x, w = torch.randn(1024, 768).to(kind), torch.randn(3072, 768).to(kind)
best = 1e9
for _ in range(60):
    begin = time.perf_counter()
    torch.nn.functional.linear(x, w)
    best = min(best, time.perf_counter() - begin)
print(2 * 1024 * 768 * 3072 / best / 1e9)
"""


def arguments():
    parser = common.parser(__doc__, "hyperx", "data", "encoder")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--original", action="store_true")
    return parser.parse_args()


def prepare(options, folder):
    treebank = pathlib.Path(options.data, "ud/en_ewt/en_ewt-ud-train.conllu").resolve()
    common.prepare(options.hyperx, options.encoder, [("pos", "en", "train", "conllu", treebank)], folder / "corpus")


def ours(options, folder, more):
    where = folder / "run"
    common.run([options.hyperx, "train", "--train.pairs", "pos:en", "--data.corpus", folder / "corpus", "--model.encoder",
                "random:" + options.encoder, "--run.dir", where, "--train.steps", UNCOUNTED + options.steps, "--train.warmup_steps", 1,
                "--train.precision", options.precision, "--threads", options.threads, "--eval.every", 0, "--checkpoint.every", 0] + more)
    lines = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["event"] == "step"][UNCOUNTED:]
    seconds = sum(step["seconds"] for step in steps)
    shutil.rmtree(where)  # with a checkpoint of some 900 MB
    return {"tokens_per_s": sum(step["tokens"] for step in steps) / seconds, "s_per_step": seconds / len(steps),
            "tokens_per_step": sum(step["tokens"] for step in steps) / len(steps)}


def peer(options, folder, more, steps=None):
    result = folder / "peer.json"
    common.run([options.python, common.PEERS / "peer_train.py", "--data", options.data, "--pairs", "pos#en", "--dtype", options.precision,
                "--threads", options.threads, "--steps", steps or options.steps, "--warmup", UNCOUNTED, "--json", result] + more)
    found = json.loads(result.read_text())
    return {"tokens_per_s": found["real_tokens_per_s"], "s_per_step": found["s_per_step"],
            "tokens_per_step": found["tokens_per_batch"], "peak_rss_mib": found["peak_rss_mib"],
            "gflop_per_token": found["gflop_per_step_this_rank"]["real"] / found["tokens_per_batch"]}


def main():
    options = arguments()
    strongest = ["--attention", "manual", "--bucket", "--unpad", "--dropout-kernel", "bits"]
    if options.precision == "bf16":
        strongest.append("--prepack")
    rows = {"hyperx": lambda folder: ours(options, folder, []),
            "peer, strongest": lambda folder: peer(options, folder, strongest)}
    if options.plain:
        rows["peer, padded to the longest"] = lambda folder: peer(options, folder, [])
    if options.original:
        rows["peer, padded to 256"] = lambda folder: peer(options, folder, ["--pad", 256], max(1, options.steps // 4))
    best, rate = {}, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(options, folder)
        for number in range(options.repeat):
            rate = max(rate, float(common.run([options.python, "-c", PRODUCT, options.threads, options.precision])))
            for row, measure in rows.items():
                found = measure(folder)
                if row not in best or found["tokens_per_s"] > best[row]["tokens_per_s"]:
                    best[row] = found
                print(f"# {number + 1}/{options.repeat} {row}: {found['tokens_per_s']:.0f} tokens/s", file=sys.stderr)
    limit = rate / best["peer, strongest"]["gflop_per_token"]
    best["limit: products at their best rate"] = {"tokens_per_s": limit}
    print(f"{options.precision}, {options.threads} threads, best product {rate:.0f} GFLOP/s, {os.cpu_count()} processors")
    print(f"{'':36} {'tokens/s':>9} {'s/step':>8} {'tokens':>7} {'hyperx is':>10}")
    for row, found in best.items():
        ratio = best["hyperx"]["tokens_per_s"] / found["tokens_per_s"]
        step = f"{found['s_per_step']:8.3f} {found['tokens_per_step']:7.0f}" if "s_per_step" in found else " " * 16
        print(f"{row:36} {found['tokens_per_s']:9.0f} {step} {ratio:9.2f}x")
    common.write_json(options.json, {"precision": options.precision, "threads": options.threads, "best_product_gflops": rate,
                                     "rows": best})


if __name__ == "__main__":
    main()
