#!/usr/bin/env python3
"""What a user can expect: Hyper-X on real treebanks and entities in 17 languages, with and without language embeddings.

Usage: real_data.py --hyperx build/release/bin/hyperx --data DIR --encoder DIR --folder DIR [--layers 6] [--steps 3000]
                    [--seeds 1,2] [--ranks 2] [--json FILE]

--data    the data set of configs/data/seventeen_languages.tsv
--folder  where corpus and runs lie; the same command line continues an interrupted run
--layers  model.encoder_layers

Trains pos in en, tr, ug, mt and ner in en, ar, ta, zh, is, with 1,000 lines of text of each of the 17 languages (which makes a third
of the steps masked words, train.temperature = 2), and scores every other pair of these tasks on its test file. Beside it the same without language embeddings (hyperx.language_dim = 0): one adapter of a task and layer for all
languages, which is what one would do without Hyper-X's idea. Scores are means over the seeds; pos by accuracy, ner by entity F1.
"""
import json
import pathlib
import resource
import shutil
import statistics
import sys
import time

import common

POS, NER = "en tr ug mt".split(), "en ar ta zh is".split()
PAIRS = f"pos:{{{','.join(POS)}}},ner:{{{','.join(NER)}}},mlm:*"
LEAST_SENTENCES = 50  # a smaller test file says nothing; five languages have one entity sentence
VARIANTS = {"hyperx": [], "one adapter for all languages": ["--hyperx.language_dim", 0]}


def arguments():
    parser = common.parser(__doc__, "hyperx", "data", "encoder", "folder")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--ranks", type=int, default=2)
    return parser.parse_args()


def launch(options, *arguments):
    root = pathlib.Path(__file__).resolve().parents[1]
    common.run([root / "launch/run", "-n", options.ranks, *arguments])


def measure(options, corpus, variant, seed):
    """{pair: (score, sentences)} of the test files; seconds of training."""
    name = f"{'hyperx' if not VARIANTS[variant] else 'shared'}-{seed}"
    run = pathlib.Path(options.folder) / name
    print(f"# {variant}, seed {seed}: {run}", file=sys.stderr, flush=True)
    launch(options, "train", "--data.corpus", corpus, "--model.encoder", options.encoder, "--model.encoder_layers", options.layers,
           "--run.dir", run, "--train.pairs", PAIRS, "--train.steps", options.steps, "--train.seed", seed, "--train.batch_sentences", 16,
           "--train.learning_rate", "3e-4", "--train.warmup_steps", options.steps // 10, "--train.temperature", 2, "--hyperx.adapter_dim",
           128, "--hyperx.projected_dim", 32, "--eval.every", 0, "--checkpoint.every", 500, "--resume", "auto", *VARIANTS[variant])
    launch(options, "evaluate", run, "--eval.split", "test", "--eval.pairs", "pos:*,ner:*")
    scores = {}
    for file in sorted(run.glob(f"results/step-{options.steps:07}/test/*.json")):
        result = json.loads(file.read_text())
        scores[result["pair"]] = result["metrics"][result["main_metric"]], result["sentences"]
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return scores, sum(step["seconds"] for step in steps if step["event"] == "step")


def main():
    options = arguments()
    folder = pathlib.Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    if not (corpus / "index.json").exists():
        root = pathlib.Path(__file__).resolve().parents[1]
        shutil.copytree(root / "configs/data", folder / "manifests", dirs_exist_ok=True)
        manifest = folder / "manifests/seventeen_languages.tsv"
        manifest.write_text(manifest.read_text().replace("limit=100000;", "limit=1000;"))
        common.run([options.hyperx, "prepare", manifest, "--data.root", options.data, "--data.corpus", corpus, "--model.encoder",
                    options.encoder])
    found, seconds = {variant: [] for variant in VARIANTS}, []
    began = time.monotonic()
    for seed in map(int, options.seeds.split(",")):
        for variant in VARIANTS:
            scores, took = measure(options, corpus, variant, seed)
            found[variant].append(scores)
            seconds.append(took)
            print(f"# {time.monotonic() - began:.0f} s so far", file=sys.stderr, flush=True)
    trained = {f"pos:{code}" for code in POS} | {f"ner:{code}" for code in NER}
    sentences = {pair: count for pair, (_, count) in found["hyperx"][0].items() if "@" not in pair}
    pairs = sorted(pair for pair, count in sentences.items() if count >= LEAST_SENTENCES)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{options.steps} steps, {options.seeds.count(',') + 1} seeds, {statistics.mean(seconds):.0f} s of training each "
          f"({', '.join(f'{took:.0f}' for took in seconds)}), {memory:.0f} MB at most in a process (of this call)\n")
    print("| pair | sentences | " + " | ".join(found) + " |\n| --- | ---: |" + " ---: |" * len(found))
    mean = {variant: {pair: statistics.mean(scores[pair][0] for scores in runs) for pair in pairs} for variant, runs in found.items()}
    by_seed = lambda variant, group: ", ".join(f"{100 * statistics.mean(scores[pair][0] for pair in group):.1f}" for scores in found[variant])
    for kind, chosen in (("trained", lambda pair: pair in trained), ("never trained", lambda pair: pair not in trained)):
        for task in ("pos", "ner"):
            group = [pair for pair in pairs if pair.startswith(task) and chosen(pair)]
            for pair in group:
                print(f"| {pair} | {sentences[pair]} | " + " | ".join(f"{100 * mean[variant][pair]:.1f}" for variant in found) + " |")
            if group:
                print(f"| **mean of {len(group)} {task} pairs, {kind}** | | " + " | ".join(
                    f"**{100 * statistics.mean(mean[variant][pair] for pair in group):.1f}** ({by_seed(variant, group)})" for variant in found) + " |")
    print(f"\nLeft out, with fewer than {LEAST_SENTENCES} sentences: {', '.join(sorted(set(sentences) - set(pairs))) or 'none'}")
    common.write_json(options.json, {"steps": options.steps, "scores": found, "seconds": seconds})


if __name__ == "__main__":
    main()
