#!/usr/bin/env python3
"""Opening large corpora: one pair of 10 million sentences, and 7,000 languages x 3 tasks; both made by `hyperx prepare`.

Usage: corpus_bench.py --hyperx build/release/bin/hyperx --data DIR --encoder DIR [--folder DIR] [--sentences 10000000]
                       [--languages 7000] [--repeat 3] [--json FILE]

--data    the collection with ud/en_ewt; --encoder a folder with config.json and vocab.txt
--folder  where some GB may lie for a while (default: the system's temporary folder); what is made there is removed

The sentences are the beginning of one real sentence and the end of another, with their tags. The languages share their files of
a few real sentences, as what is measured is their number. Figures are those of `hyperx bench data`.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HEAD = "task\tlanguage\tsplit\tformat\tpath\toptions\n"
CHUNK = 100_000  # sentences written at a time
LANGUAGE_SENTENCES = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("hyperx", "data", "encoder"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--folder")
    parser.add_argument("--sentences", type=int, default=10_000_000)
    parser.add_argument("--languages", type=int, default=7000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json")
    return parser.parse_args()


def real_sentences(data):
    """[(word, tag)] a sentence."""
    sentences, words = [], []
    for line in pathlib.Path(data, "ud/en_ewt/en_ewt-ud-train.conllu").read_text().splitlines():
        columns = line.split("\t")
        if not line:
            sentences.append(words)
            words = []
        elif columns[0].isdigit():
            words.append((columns[1].replace(" ", ""), columns[3]))
    return [s for s in sentences if s]


def write_tagged(path, sentences, count):
    draw = random.Random(1)
    halves = [("".join(f"{w}\t{t}\n" for w, t in s[:(len(s) + 1) // 2]), "".join(f"{w}\t{t}\n" for w, t in s[len(s) // 2:]) + "\n")
              for s in sentences]
    with open(path, "w") as out:
        for begin in range(0, count, CHUNK):
            size = min(CHUNK, count - begin)
            out.write("".join(a[0] + b[1] for a, b in zip(draw.choices(halves, k=size), draw.choices(halves, k=size))))


def run(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"corpus_bench: {command[0]} {command[1]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def measure(options, name, folder, manifest):
    begin = time.perf_counter()
    run([options.hyperx, "prepare", manifest, "--data.corpus", folder / name, "--model.encoder", options.encoder])
    print(f"# {name}: prepared in {time.perf_counter() - begin:.0f} s, "
          f"{sum(f.stat().st_size for f in (folder / name).iterdir()) / 1e9:.2f} GB", file=sys.stderr)
    result = folder / (name + ".json")
    text = run([options.hyperx, "bench", "data", "--data.corpus", folder / name, "--repeat", options.repeat, "--json", result])
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
            manifest = folder / "large_manifest.tsv"
            manifest.write_text(HEAD + f"pos\ten\ttrain\ttagged\t{large}\t\n")
            found["sentences"] = measure(options, "sentences", folder, manifest)
            large.unlink()
        if options.languages:
            (folder / "text").write_text("".join(" ".join(w for w, _ in s) + "\n" for s in sentences[:LANGUAGE_SENTENCES]))
            write_tagged(folder / "pos", sentences, LANGUAGE_SENTENCES)
            (folder / "ner").write_text("".join(line.split("\t")[0] + "\tO\n" if "\t" in line else "\n"
                                                for line in (folder / "pos").read_text().splitlines()))
            rows = [HEAD]
            for number in range(options.languages):
                rows.append(f"mlm\tl{number:04}\ttrain\ttext\t{folder / 'text'}\t\n")
                for task in ("pos", "ner"):
                    rows += [f"{task}\tl{number:04}\t{split}\ttagged\t{folder / task}\t\n" for split in ("train", "dev", "test")]
            manifest = folder / "languages_manifest.tsv"
            manifest.write_text("".join(rows))
            found["languages"] = measure(options, "languages", folder, manifest)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
