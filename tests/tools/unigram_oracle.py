#!/usr/bin/env python3
"""Every line and every different word of the data set, as hyperx and as PyPI's `tokenizers` cut it into pieces.

usage: unigram_oracle.py HYPERX FOLDER DATA

FOLDER is an encoder with a Unigram tokenizer.json, DATA the folder that HYPERX_TEST_DATA names. Ids may differ only where both
segmentations have the same sum of scores; these are counted.
"""
import json
import pathlib
import subprocess
import sys

import tokenizers

FILES = pathlib.Path(__file__).resolve().parents[1] / "golden/cases/tokenizer/tokenizer.tsv"


def words_of(name, text):
    """As tests/data/tokenizer/word_piece_oracle_test.cpp reads the formats."""
    for line in filter(None, text.split("\n")):
        columns = line.split("\t")
        if name.endswith(".conllu") or "uner_" in name:
            if line[0] != "#" and columns[0].isdigit():
                yield columns[1]
        elif name.startswith("wikiann"):
            yield columns[0].split(":", 1)[1]
        elif name.endswith(".conll"):
            yield columns[0]
        else:
            yield line.rsplit(" ", 1)[0]


def main():
    hyperx, folder, data = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    lines, words = [], {}
    for row in FILES.read_text().splitlines()[1:]:
        name, kind = row.split("\t")[:2]
        text = (data / name).read_text(encoding="utf-8")
        if kind == "words":
            words.update(dict.fromkeys(words_of(name, text)))
        else:
            lines += [line.rstrip("\r") for line in text.split("\n")[:-1]]
    texts = lines + list(words)
    asked = "".join(json.dumps(text) + "\n" for text in texts)
    answer = subprocess.run([hyperx, "tokenize", "--json", "--model.encoder", folder], input=asked, text=True, check=True,
                            stdout=subprocess.PIPE).stdout
    ours = [json.loads(line) for line in answer.splitlines()]
    reference = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    scores = [score for _, score in json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]]
    ties = wrong = 0
    for text, found, expected in zip(texts, ours, theirs, strict=True):
        if found == expected:
            continue
        if abs(sum(scores[i] for i in found) - sum(scores[i] for i in expected)) < 1e-4:
            ties += 1
        else:
            wrong += 1
            print(f"differs: {text!r}: {found} is not {expected}")
    print(f"{len(lines)} lines, {len(words)} different words: {ties} with another segmentation of the same score, {wrong} wrong")
    return 1 if wrong or ties > len(texts) // 1000 or not texts else 0


if __name__ == "__main__":
    sys.exit(main())
