#!/usr/bin/env python3
"""Every method beside what a user would write today: PyTorch with `transformers`, and `adapters` for MAD-X.

Usage: methods_bench.py --hyperx build/release/bin/hyperx --encoder DIR --python PROGRAM --folder DIR [--setups mbert,psf,...]
                        [--layers 6] [--threads 2] [--precisions fp32,bf16] [--steps 45] [--learn STEPS] [--seeds 1,2] [--json FILE]

--encoder  a Hugging Face folder
--python   an interpreter that has torch, transformers, adapters, h5py, seqeval and ufal.chu_liu_edmonds
--folder   where the corpus and what is run lie
--learn    not speed: both are trained so long, and score the same test files

Both read the corpus that hyperx prepares from the shipped sample, with the trees of its part-of-speech files as `dep`; the languages of
MAD-X have all of their text, and the words of these files as a test of masked words: the sample's own would mask fewer than 200. A step is one
pair, drawn in proportion to its size; dropout 0.1, clip 1.0. For the speed they run in turns, 32 sentences a step, and five steps are
not counted; real tokens a second: the plain program pads, hyperx does not. Memory is the most that the process ever held. For --learn
a step has 16 sentences, which neither sorts by length, the rate rises for a tenth of the steps, then falls to 0; the precision is the first of --precisions.
"""
import json
import os
import pathlib
import shutil
import statistics

import common

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "examples/sample"
UNCOUNTED = 5
LANGUAGE_ADAPTER = ["--model.method", "madx", "--madx.train", "language"]

# What is trained, and how: pairs, tested pairs, learning rate, settings of hyperx, method of the plain program.
SETUPS = {
    "hyperx": ("pos:en,pos:mt,ner:en,ner:tr,mlm:is", "pos:en,pos:mt,ner:en,ner:tr,pos:is", "3e-4",
               ["--hyperx.adapter_dim", 128, "--hyperx.projected_dim", 32], "hyperx"),
    "mbert": ("pos:en", "pos:en,pos:mt,pos:is", "5e-5", ["--model.method", "mbert"], "mbert"),
    "psf": ("pos:en,pos:mt,ner:en,ner:tr", "pos:en,pos:mt,ner:en,ner:tr", "5e-5", ["--model.method", "psf"], "psf"),
    "madx-language-mt": ("mlm:mt", "mlm:mt", "1e-3", LANGUAGE_ADAPTER, "madx-language"),
    "madx-language": ("mlm:en", "mlm:en", "1e-3", LANGUAGE_ADAPTER, "madx-language"),
    "madx-task": ("pos:en", "pos:en,pos:mt", "1e-3", ["--model.method", "madx", "--madx.train", "task"], "madx-task"),
    "dep": ("dep:en,dep:mt", "dep:en,dep:mt", "1e-4", ["--model.method", "mbert"], "mbert"),
}
ADAPTERS = {"madx-task": {"en": "madx-language", "mt": "madx-language-mt"}}


def arguments():
    parser = common.parser(__doc__, "hyperx", "encoder", "python", "folder")
    parser.add_argument("--setups", default=",".join(SETUPS))
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--steps", type=int, default=45)
    parser.add_argument("--learn", type=int, default=0, metavar="STEPS")
    parser.add_argument("--seeds", default="1,2")
    return parser.parse_args()


def words_of(language, folder):
    """A file with the sentences of the language's dev and test trees, a line each."""
    lines = [" ".join(word for word, _ in sentence) for split in ("dev", "test")
             for sentence in common.tagged_sentences(SAMPLE / f"data/pos.{language}.{split}.conllu")]
    file = (folder / f"mlm.{language}.test.txt").resolve()
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def prepare(options, corpus):
    """The sample's manifest, with a row of `dep` for each of `pos`."""
    rows = [line.split("\t") for line in (SAMPLE / "manifest.tsv").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    for row in rows:
        task, language, split = row[:3]
        if task == "mlm" and language in ADAPTERS["madx-task"]:
            row[5] = row[5].replace(";limit=100", "")
            if split == "test":
                row[4] = str(words_of(language, pathlib.Path(options.folder)))
    rows = ["\t".join(row) for row in [*rows, *(["dep", *row[1:]] for row in rows if row[0] == "pos")]]
    manifest = pathlib.Path(options.folder) / "manifest.tsv"
    manifest.write_text("\n".join([f"# root = {SAMPLE}", *rows]) + "\n", encoding="utf-8")
    common.run([options.hyperx, "prepare", manifest, "--data.corpus", corpus, "--model.encoder", options.encoder])


class Job:
    """One setup at one precision, seed and length, for both programs."""

    def __init__(self, options, setup, precision, seed, steps):
        self.options, self.setup, self.precision, self.seed, self.steps = options, setup, precision, seed, steps
        self.pairs, self.tested, self.rate, self.settings, self.method = SETUPS[setup]
        self.batch = 16 if options.learn else 32
        self.warmup = steps // 10 if options.learn else 0
        self.corpus = pathlib.Path(options.folder) / "corpus"

    def folder(self, program, setup=None):
        return pathlib.Path(self.options.folder) / f"{program}-{setup or self.setup}-{self.precision}-{self.seed}-{self.steps}"

    def language_adapters(self, program):
        """{language: folder}, trained by the same program."""
        folders = {language: self.folder(program, setup) for language, setup in ADAPTERS.get(self.setup, {}).items()}
        for setup in ADAPTERS.get(self.setup, {}).values():
            if not self.folder(program, setup).exists():
                getattr(Job(self.options, setup, self.precision, self.seed, self.steps), program)()
        return folders

    def hyperx(self):
        run, options = self.folder("hyperx"), self.options
        adapters = ",".join(map(str, self.language_adapters("hyperx").values()))
        shutil.rmtree(run, ignore_errors=True)
        peak = common.run_for_memory([
            options.hyperx, "train", "--data.corpus", self.corpus, "--model.encoder", options.encoder, "--model.encoder_layers", options.layers,
            "--threads", options.threads, "--train.temperature", 1, "--eval.every", 0, "--checkpoint.every", 0, "--train.precision",
            self.precision, *self.settings, *(["--madx.language_adapters", adapters] if adapters else []), "--train.pairs", self.pairs,
            "--train.steps", self.steps, "--train.batch_sentences", self.batch, "--train.learning_rate", self.rate, "--train.warmup_steps",
            self.warmup, "--train.seed", self.seed, "--run.dir", run])
        steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [step for step in steps if step["event"] == "step"][UNCOUNTED:]
        found = {"tokens_per_s": sum(step["tokens"] for step in steps) / sum(step["seconds"] for step in steps), "peak_mb": peak, "scores": {}}
        if options.learn:
            common.run([options.hyperx, "evaluate", run, "--eval.split", "test", "--eval.pairs", self.tested, "--threads", options.threads])
            for pair in self.tested.split(","):
                result = json.loads((run / f"results/step-{self.steps:07}/test/{pair.replace(':', '.')}.json").read_text())
                found["scores"][pair] = result["metrics"][result["main_metric"]]
        return found

    def plain(self):
        file, options = pathlib.Path(self.options.folder) / "plain.json", self.options
        adapters = ",".join(f"{language}={folder}" for language, folder in self.language_adapters("plain").items())
        common.run([
            options.python, common.PEERS / "plain_methods.py", self.corpus, "--encoder", options.encoder, "--method", self.method, "--pairs",
            self.pairs, "--layers", options.layers, "--dtype", self.precision, "--threads", options.threads, "--steps", self.steps, "--warmup",
            UNCOUNTED, "--batch", self.batch, "--rate", self.rate, "--rate-warmup", self.warmup, "--seed", self.seed, "--json", file,
            *(["--language-adapters", adapters] if adapters else []), *(["--test", self.tested, "--window", 1] if options.learn else []),
            *(["--save", self.folder("plain")] if self.method == "madx-language" else [])])
        return json.loads(file.read_text())


def speed(options, setups):
    print("| setup | precision | hyperx, tokens/s | plain, tokens/s | hyperx is | hyperx, MB | plain, MB |\n"
          "| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    figures = []
    for setup in setups:
        for precision in options.precisions.split(","):
            job = Job(options, setup, precision, 1, options.steps)
            ours, plain = job.hyperx(), job.plain()
            ratio = ours["tokens_per_s"] / plain["tokens_per_s"]
            figures.append({"setup": setup, "precision": precision, "hyperx": ours, "plain": plain, "ratio": ratio})
            print(f"| `{setup}` | {precision} | {ours['tokens_per_s']:,.0f} | {plain['tokens_per_s']:,.0f} | {ratio:.2f} times as fast | "
                  f"{ours['peak_mb']:,.0f} | {plain['peak_mb']:,.0f} |", flush=True)
    return figures


def learn(options, setups):
    print("| setup | pair | hyperx, mean (seeds) | plain, mean (seeds) |\n| --- | --- | ---: | ---: |", flush=True)
    precision, figures = options.precisions.split(",")[0], []
    for setup in setups:
        found = {"hyperx": [], "plain": []}
        for seed in map(int, options.seeds.split(",")):
            job = Job(options, setup, precision, seed, options.learn)
            for program, scores in found.items():
                scores.append(getattr(job, program)()["scores"])
        figures.append({"setup": setup, "precision": precision, **found})
        for pair in job.tested.split(","):
            scale = 1 if pair.startswith("mlm") else 100
            cells = [[scale * scores[pair] for scores in found[program]] for program in ("hyperx", "plain")]
            print(f"| `{setup}` | {pair} | " + " | ".join(f"{statistics.mean(cell):.2f} ({', '.join(f'{x:.2f}' for x in cell)})" for cell in cells)
                  + " |", flush=True)
    return figures


def main():
    options = arguments()
    pathlib.Path(options.folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    corpus = pathlib.Path(options.folder) / "corpus"
    if not (corpus / "index.json").exists():
        prepare(options, corpus)
    common.write_json(options.json, (learn if options.learn else speed)(options, options.setups.split(",")))


if __name__ == "__main__":
    main()
