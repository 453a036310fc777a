#!/usr/bin/env python3
"""Scores predicted tags with seqeval 1.2.2 and by counting equal tags: what `hyperx score` and `evaluate` are checked against.

Usage: score_with_seqeval.py pos|ner [--format conllu|tagged] [--word N] [--tag N] [--comment TEXT] GOLD PRED [GOLD PRED]...

Prints a JSON list with an object for each two files: sentences, words, accuracy, and `default` (pos: on bare UPOS tags, as the
Hyper-X release does; ner) and `strict` (ner: strict IOB2), each with micro, macro, weighted and types. Files of different
words are an error.
"""
import argparse
import json
import math
import sys
import warnings

from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

warnings.filterwarnings("ignore")


def read_sentences(path, options):
    """[[(word, tag), ...], ...]"""
    sentences, current = [], []
    with open(path, encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            line = line.rstrip("\n").rstrip("\r")
            if not line.strip(" \t"):
                if current:
                    sentences.append(current)
                current = []
                continue
            if options.format == "conllu":
                columns = line.split("\t")
                if not line.startswith("#") and columns[0].isdigit():
                    current.append((columns[1], columns[3]))
                continue
            if options.comment and line.startswith(options.comment):
                continue
            columns = line.split("\t") if "\t" in line else line.rsplit(" ", 1)
            current.append((columns[options.word - 1], columns[options.tag - 1 if options.tag else -1]))
    if current:
        sentences.append(current)
    return sentences


def summary(gold, predicted, **mode):
    report = classification_report(gold, predicted, output_dict=True, **mode)

    def values(row):
        numbers = {"precision": row["precision"], "recall": row["recall"], "f1": row["f1-score"]}
        # the mean over no types at all is NaN: 0 here
        numbers = {name: 0.0 if math.isnan(value) else float(value) for name, value in numbers.items()}
        return {**numbers, "support": int(row["support"])}

    averages = {name: values(report.pop(name + " avg")) for name in ("micro", "macro", "weighted")}
    return {**averages, "types": {name: values(row) for name, row in report.items()}}


def score(task, gold_path, predicted_path, options):
    gold, predicted = read_sentences(gold_path, options), read_sentences(predicted_path, options)
    if [[word for word, _ in sentence] for sentence in gold] != [[word for word, _ in sentence] for sentence in predicted]:
        sys.exit(f"{gold_path} and {predicted_path} hold different words")
    gold = [[tag for _, tag in sentence] for sentence in gold]
    predicted = [[tag for _, tag in sentence] for sentence in predicted]
    words = sum(map(len, gold))
    equal = sum(a == b for g, p in zip(gold, predicted) for a, b in zip(g, p))
    result = {"sentences": len(gold), "words": words, "accuracy": equal / words, "default": summary(gold, predicted)}
    if task == "ner":
        result["strict"] = summary(gold, predicted, mode="strict", scheme=IOB2)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["pos", "ner"])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--format", choices=["conllu", "tagged"], default="tagged")
    parser.add_argument("--word", type=int, default=1)
    parser.add_argument("--tag", type=int, default=0)
    parser.add_argument("--comment", default="")
    options = parser.parse_args()
    if len(options.files) % 2:
        parser.error("gold and predicted files go in pairs")
    pairs = zip(options.files[::2], options.files[1::2])
    print(json.dumps([score(options.task, gold, predicted, options) for gold, predicted in pairs]))


if __name__ == "__main__":
    main()
