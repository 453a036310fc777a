#!/usr/bin/env python3
"""Full fine-tuning, PSF and MAD-X beside what a user would write today: PyTorch with `transformers`, and `adapters` for MAD-X.

Usage: methods_bench.py --hyperx build/release/bin/hyperx --encoder DIR --python PROGRAM --folder DIR [--layers 6]
                        [--methods mbert,psf,madx-task] [--precisions fp32,bf16] [--threads 2] [--steps 45] [--json FILE]

--encoder  a Hugging Face folder with a Unigram tokenizer.json
--python   an interpreter that has torch, transformers and adapters
--folder   where the corpus and what is run lie

Both train on the shipped sample, 32 sentences of one pair a step, dropout 0.1, clip 1.0, in turns on one machine; five steps are not
counted. Real tokens a second: the plain program pads, hyperx does not.
"""
import json
import os
import pathlib
import shutil

import common

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "examples/sample"
UNCOUNTED = 5
PAIRS = {"mbert": ["pos:en"], "psf": ["pos:en", "pos:mt", "ner:en", "ner:tr"], "madx-task": ["pos:en"]}
OURS = {"mbert": ["--model.method", "mbert"], "psf": ["--model.method", "psf"],
        "madx-task": ["--model.method", "madx", "--madx.train", "task"]}


def arguments():
    parser = common.parser(__doc__, "hyperx", "encoder", "python", "folder")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--methods", default="mbert,psf,madx-task")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=45)
    return parser.parse_args()


def sentences_of(path, task):
    """Words and tags of each sentence, as the manifest's options have them read."""
    labels = {}
    if (map_file := SAMPLE / f"data/{path.name.split('.')[0]}.{path.name.split('.')[1]}.labels.tsv").exists():
        labels = dict(line.split("\t")[:2] for line in map_file.read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
    found = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        if not line.strip():
            found.append([])
        elif task == "pos" and columns[0].isdigit():
            found[-1].append((columns[1], columns[3]))
        elif task == "ner" and not line.startswith("#"):
            found[-1].append((columns[0], labels.get(columns[-1], columns[-1])))
    return [sentence for sentence in found if sentence]


def tokenised(options, sentences, names):
    """Sentences as the plain program reads them; labels lie on the first sub-word that is not a bare blank."""
    asked = "".join(json.dumps([word for word, _ in sentence]) + "\n" for sentence in sentences)
    file = pathlib.Path(options.folder) / "words.jsonl"
    file.write_text(asked)
    answer = common.run(["sh", "-c", f"exec {options.hyperx} tokenize --json --model.encoder {options.encoder} <{file}"])
    pieces = json.loads(pathlib.Path(options.encoder, "tokenizer.json").read_text())["model"]["vocab"]
    ids_of = {piece: number for number, (piece, _) in enumerate(pieces)}
    rows = []
    for sentence, line in zip(sentences, answer.splitlines(), strict=True):
        ids, where, labels = [ids_of["<s>"]], [], []
        for (_, tag), word in zip(sentence, json.loads(line), strict=True):
            if word:
                where.append(len(ids) + next((i for i, piece in enumerate(word) if piece != ids_of["▁"]), 0))
                labels.append(names.index(tag))
            ids += word
        if len(ids) < 256:
            rows.append({"ids": ids + [ids_of["</s>"]], "where": where, "labels": labels})
    return rows


def make_data(options, method):
    path = pathlib.Path(options.folder) / f"{method}.json"
    labels = json.loads((pathlib.Path(options.folder) / "corpus/index.json").read_text())["labels"]
    data = {"labels": {task: labels[task] for task in {pair.split(":")[0] for pair in PAIRS[method]}}, "train": {}, "test": {}}
    for pair in PAIRS[method]:
        task, language = pair.split(":")
        for split in ("train", "test"):
            file = SAMPLE / f"data/{task}.{language}.{split}.{'conllu' if task == 'pos' else 'tsv'}"
            data[split][pair] = tokenised(options, sentences_of(file, task), labels[task])
    path.write_text(json.dumps(data))
    return path


def run_ours(options, method, precision):
    where = pathlib.Path(options.folder) / f"{method}-{precision}"
    shutil.rmtree(where, ignore_errors=True)
    more = list(OURS[method])
    base = [options.hyperx, "train", "--data.corpus", pathlib.Path(options.folder) / "corpus", "--model.encoder", options.encoder,
            "--model.encoder_layers", options.layers, "--threads", options.threads, "--train.temperature", 1, "--eval.every", 0,
            "--checkpoint.every", 0, "--train.precision", precision]
    if method == "madx-task":
        language = pathlib.Path(options.folder) / "language-en"
        if not language.exists():
            common.run([*base, "--model.method", "madx", "--train.pairs", "mlm:en", "--train.steps", 2, "--run.dir", language])
        more += ["--madx.language_adapters", language]
    common.run([*base, *more, "--train.pairs", ",".join(PAIRS[method]), "--train.steps", options.steps, "--run.dir", where])
    steps = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
    steps = [step for step in steps if step["event"] == "step"][UNCOUNTED:]
    shutil.rmtree(where)
    seconds = sum(step["seconds"] for step in steps)
    return {"tokens_per_s": sum(step["tokens"] for step in steps) / seconds, "s_per_step": seconds / len(steps)}


def run_plain(options, method, precision, data):
    file = pathlib.Path(options.folder) / "plain.json"
    common.run([options.python, common.PEERS / "plain_methods.py", data, "--encoder", options.encoder, "--layers", options.layers, "--method",
                method, "--dtype", precision, "--threads", options.threads, "--steps", options.steps, "--warmup", UNCOUNTED, "--json", file])
    return json.loads(file.read_text())


def main():
    options = arguments()
    pathlib.Path(options.folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    corpus = pathlib.Path(options.folder) / "corpus"
    if not (corpus / "index.json").exists():
        common.run([options.hyperx, "prepare", SAMPLE / "manifest.tsv", "--data.corpus", corpus, "--model.encoder", options.encoder])
    figures = []
    print("| method | precision | hyperx, tokens/s | plain, tokens/s | hyperx is |\n| --- | --- | ---: | ---: | ---: |", flush=True)
    for method in options.methods.split(","):
        data = make_data(options, method)
        for precision in options.precisions.split(","):
            ours, plain = run_ours(options, method, precision), run_plain(options, method, precision, data)
            ratio = ours["tokens_per_s"] / plain["tokens_per_s"]
            figures.append({"method": method, "precision": precision, "hyperx": ours, "plain": plain, "ratio": ratio})
            print(f"| `{method}` | {precision} | {ours['tokens_per_s']:,.0f} | {plain['tokens_per_s']:,.0f} | {ratio:.2f} times as fast |",
                  flush=True)
    common.write_json(options.json, figures)


if __name__ == "__main__":
    main()
