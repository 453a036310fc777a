#!/usr/bin/env python3
"""Evaluation against the PyTorch peer: same model size, sentences, threads, in turns on one machine.

Usage: evaluation_bench.py --hyperx build/release/bin/hyperx --data DIR --encoder DIR [--python PROGRAM]
                           [--threads 2] [--precision fp32] [--sentences 256] [--repeat 2] [--json FILE]

--data    the collection that the peer reads (bench/peers/README.md)
--encoder a folder with BERT's config.json and vocab.txt; both sides take it with random weights
--python  an interpreter that has torch, tokenizers and numpy

Both tag the first sentences of the English development file with Hyper-X Base: ours as `hyperx-bench evaluation` does, scores
included; the peer in a loop over batches under inference_mode with fused attention. `padded` takes batches of 32 in the order of the
file, padded to the longest; `sorted` is the careful way: batches of 64 of like lengths, theta made once. Sub-words are ready made on
both sides. Of the repeats the best is taken: other programs on the machine can only slow a run down.
"""
import argparse  # for what --help leaves out
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import common

TREEBANK = "ud/en_ewt/en_ewt-ud-{}.conllu"


def arguments():
    parser = common.parser(__doc__, "hyperx", "data", "encoder")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--sentences", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)  # the child that has torch
    return parser.parse_args()


def serve_peer(options):
    """Answers `padded` or `sorted` on standard input with what one pass takes."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    sys.path.insert(0, str(common.PEERS))
    import peer_train as peer

    settings = peer.parse(["--data", options.data, "--dtype", options.precision])
    peer.tune_malloc()
    torch.set_num_threads(options.threads)
    peer.POS_FILES["en"] = TREEBANK.format("dev").removeprefix("ud/")
    sentences = peer.load_pair(options.data, "pos#en", settings.max_length)[0][:options.sentences]
    torch.manual_seed(1)
    model = peer.HyperX(settings).eval()
    if options.precision == "bf16":
        for module in model.encoder.modules():
            if isinstance(module, peer.FrozenLinear):
                module.pack(640)
    kind = torch.bfloat16 if options.precision == "bf16" else torch.float32

    def tag(part, theta):
        task, language, arrays, b, t, found = peer.collate("pos#en", part, 1, settings, 119547)
        batch = peer.to_device(arrays, b, t, torch.device("cpu"), kind)
        if theta is None:
            theta = [x.to(kind).unbind(0) for x in model.hypernet(batch["task"], batch["lang"])]
        x = model.encoder(batch["ids"], batch["positions"], batch["bias"], batch["index"], batch["cu"], b, t, theta)
        x = x.index_select(0, batch["where"])
        best = F.linear(x, model.pos.weight.to(x.dtype), model.pos.bias.to(x.dtype)).argmax(1)
        return found["padded"], theta, int((best == batch["labels"]).sum())

    @torch.inference_mode()
    def run(way):
        begin = time.perf_counter()
        order, size = sentences, 32
        if way == "sorted":
            order, size = sorted(sentences, key=lambda s: len(s[0])), 64
        padded, theta = 0, None
        for first in range(0, len(order), size):
            more, made, _ = tag(order[first:first + size], theta)
            padded += more
            theta = made if way == "sorted" else None
        return {"seconds": time.perf_counter() - begin, "computed_tokens": padded}

    tokens = int(np.sum([len(s[0]) for s in sentences]))
    print(json.dumps({"tokens": tokens, "sentences": len(sentences)}), flush=True)
    for request in sys.stdin:
        print(json.dumps(run(request.strip())), flush=True)


class Peer:
    def __init__(self, options):
        command = [options.python, __file__, "--serve", "--hyperx", "-", "--data", options.data, "--encoder", options.encoder,
                   "--threads", options.threads, "--precision", options.precision, "--sentences", options.sentences]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"evaluation_bench: the peer ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, way):
        self.process.stdin.write(way + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(options, folder):
    rows = [("pos", "en", split, "conllu", pathlib.Path(options.data, TREEBANK.format(split)).resolve()) for split in ("train", "dev")]
    common.prepare(options.hyperx, options.encoder, rows, folder / "corpus")


def ours(options, folder):
    result = folder / "ours.json"
    common.run([common.bench_of(options.hyperx), "evaluation", "--data.corpus", folder / "corpus", "--model.encoder", "random:" + options.encoder,
                "--train.pairs", "pos:en", "--train.precision", options.precision, "--eval.limit", options.sentences, "--threads",
                options.threads, "--repeat", 1, "--json", result])
    rows = {(row["part"], row["what"].split(",")[0]): row for row in json.loads(result.read_text())["measures"]}
    seconds = rows["evaluation", "seconds of all pairs"]
    return {"seconds": seconds["value"], "limit_seconds": seconds["limit"],
            "computed_tokens": round(rows["evaluation", "tokens/s"]["value"] * seconds["value"])}


def main():
    options = arguments()
    if options.serve:
        return serve_peer(options)
    peer = Peer(options)
    rows = {"hyperx": lambda folder: ours(options, folder), "peer, sorted by length": lambda folder: peer.ask("sorted"),
            "peer, padded": lambda folder: peer.ask("padded")}
    best = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(options, folder)
        for number in range(options.repeat):
            for row, measure in rows.items():
                found = measure(folder)
                if row not in best or found["seconds"] < best[row]["seconds"]:
                    best[row] = found
                print(f"# {number + 1}/{options.repeat} {row}: {found['seconds']:.2f} s", file=sys.stderr)
    peer.close()
    tokens, sentences = peer.facts["tokens"], peer.facts["sentences"]
    if best["hyperx"]["computed_tokens"] != tokens:
        sys.exit(f"evaluation_bench: {best['hyperx']['computed_tokens']} tokens here, {tokens} there: not the same work")
    print(f"{options.precision}, {options.threads} threads, {os.cpu_count()} processors: {sentences} sentences of {tokens} tokens")
    print(f"{'':24} {'s':>8} {'sentences/s':>12} {'tokens/s':>9} {'computed':>9} {'hyperx is':>10}")
    for row, found in best.items():
        print(f"{row:24} {found['seconds']:8.2f} {sentences / found['seconds']:12.1f} {tokens / found['seconds']:9.0f} "
              f"{found['computed_tokens']:9} {found['seconds'] / best['hyperx']['seconds']:9.2f}x")
    print(f"limit of the products    {best['hyperx']['limit_seconds']:8.2f}")
    common.write_json(options.json, {"precision": options.precision, "threads": options.threads, "tokens": tokens,
                                     "sentences": sentences, "rows": best})


if __name__ == "__main__":
    main()
