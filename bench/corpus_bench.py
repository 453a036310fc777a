#!/usr/bin/env python3
"""Opening large corpora: one pair of 10 million sentences, and 7,000 languages x 3 tasks; both made by `hyperx prepare`.

Usage: corpus_bench.py --hyperx build/release/bin/hyperx --data DIR --encoder DIR [--folder DIR] [--sentences 10000000]
                       [--languages 7000] [--repeat 3] [--json FILE]

--data    the collection with ud/en_ewt; --encoder a folder with config.json and vocab.txt
--folder  where some GB may lie for a while (default: the system's temporary folder); what is made there is removed

The sentences are the beginning of one real sentence and the end of another, with their tags. The languages share their files of
a few real sentences, as what is measured is their number. Figures are those of `hyperx-bench data`.
"""
import json
import os
import pathlib
import random
import sys
import tempfile
import time

import common

CHUNK = 100_000  # sentences written at a time
LANGUAGE_SENTENCES = 20


def arguments():
    parser = common.parser(__doc__, "hyperx", "data", "encoder")
    parser.add_argument("--folder")
    parser.add_argument("--sentences", type=int, default=10_000_000)
    parser.add_argument("--languages", type=int, default=7000)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def real_sentences(data):
    return common.tagged_sentences(pathlib.Path(data, "ud/en_ewt/en_ewt-ud-train.conllu"))


def write_tagged(path, sentences, count):
    draw = random.Random(1)
    halves = [("".join(f"{w}\t{t}\n" for w, t in s[:(len(s) + 1) // 2]), "".join(f"{w}\t{t}\n" for w, t in s[len(s) // 2:]) + "\n")
              for s in sentences]
    with open(path, "w") as out:
        for begin in range(0, count, CHUNK):
            size = min(CHUNK, count - begin)
            out.write("".join(a[0] + b[1] for a, b in zip(draw.choices(halves, k=size), draw.choices(halves, k=size))))


def measure(options, name, folder, rows):
    begin = time.perf_counter()
    common.prepare(options.hyperx, options.encoder, rows, folder / name)
    print(f"# {name}: prepared in {time.perf_counter() - begin:.0f} s, "
          f"{sum(f.stat().st_size for f in (folder / name).iterdir()) / 1e9:.2f} GB", file=sys.stderr)
    result = folder / (name + ".json")
    text = common.run([common.bench_of(options.hyperx), "data", "--data.corpus", folder / name, "--repeat", options.repeat, "--json", result])
    print(f"{name}, {os.cpu_count()} processors\n{text}", flush=True)
    return json.loads(result.read_text())


def main():
    options = arguments()
    sentences = real_sentences(options.data)
    found = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        if options.sentences:
            large = folder / "large.tsv"
            write_tagged(large, sentences, options.sentences)
            found["sentences"] = measure(options, "sentences", folder, [("pos", "en", "train", "tagged", large)])
            large.unlink()
        if options.languages:
            (folder / "text").write_text("".join(" ".join(w for w, _ in s) + "\n" for s in sentences[:LANGUAGE_SENTENCES]))
            write_tagged(folder / "pos", sentences, LANGUAGE_SENTENCES)
            (folder / "ner").write_text("".join(line.split("\t")[0] + "\tO\n" if "\t" in line else "\n"
                                                for line in (folder / "pos").read_text().splitlines()))
            rows = []
            for number in range(options.languages):
                language = f"l{number:04}"
                rows.append(("mlm", language, "train", "text", folder / "text"))
                rows += [(task, language, split, "tagged", folder / task) for task in ("pos", "ner") for split in ("train", "dev", "test")]
            found["languages"] = measure(options, "languages", folder, rows)
    common.write_json(options.json, found)


if __name__ == "__main__":
    main()
