#!/usr/bin/env python3
"""Prints a run's test scores beside what trivial taggers reach on the same files.

usage: launch/score_table.py MANIFEST RESULTS     RESULTS: the run's results/step-N/test/ folder

pos is scored by accuracy, ner by entity F1, in per cent. Which pairs were trained stands in the results. Two baselines,
counted from the manifest's own files:
  majority  gives every word the most frequent tag of the pair's training files; a pair never trained takes those of all
            trained pairs of its task. For ner that tag is O: no entity is found, F1 is 0.
  lookup    gives every word the tag that it most often had in those files, and the majority tag to words not in them.
"""
import collections
import json
import pathlib
import sys

METRIC = {"pos": "accuracy", "ner": "f1"}


def read_manifest(path):
    """[(task, language, split, file, label map)] of the pos and ner files."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "task\t")):
            continue
        task, language, split, _, name, options = (line.split("\t") + [""])[:6]
        if task not in METRIC:
            continue
        labels = {}
        for option in options.split(";"):
            if option.startswith("labels="):
                rows = (path.parent / option[7:]).read_text(encoding="utf-8").splitlines()
                labels = dict(row.split("\t")[:2] for row in rows if row and not row.startswith("#"))
        entries.append((task, language, split, path.parent / name, labels))
    return entries


def read_sentences(task, path, labels):
    """Sentences as lists of (word, tag): CoNLL-U for pos, two columns for ner."""
    sentence = []
    for line in path.read_text(encoding="utf-8").splitlines() + [""]:
        column = line.split("\t")
        if not line:
            if sentence:
                yield sentence
            sentence = []
        elif task == "ner":
            sentence.append((column[0], labels.get(column[1], column[1])))
        elif column[0].isdigit():
            sentence.append((column[1], column[3]))


def entities(tags):
    """(type, first, last) of each run of B-X I-X ...; an I- of another type, or after O, begins one too."""
    found, start, kind = set(), 0, ""
    for place, tag in enumerate(list(tags) + ["O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            found.add((kind, start, place - 1))
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = place, name
    return found


def score(task, gold, predicted):
    """Accuracy over words, or F1 over entities, in per cent."""
    if task == "pos":
        right = sum(g == p for gs, ps in zip(gold, predicted) for g, p in zip(gs, ps))
        return 100 * right / sum(len(gs) for gs in gold)
    right = in_gold = in_predicted = 0
    for gs, ps in zip(gold, predicted):
        true, guessed = entities(gs), entities(ps)
        right += len(true & guessed)
        in_gold += len(true)
        in_predicted += len(guessed)
    return 200 * right / (in_gold + in_predicted) if right else 0.0


def baselines(task, train, test):
    """(majority, lookup) scores of `test`, both counted from `train`; lists of sentences."""
    tags, by_word = collections.Counter(), collections.defaultdict(collections.Counter)
    for sentence in train:
        for word, tag in sentence:
            tags[tag] += 1
            by_word[word][tag] += 1
    majority = tags.most_common(1)[0][0]
    best = {word: counter.most_common(1)[0][0] for word, counter in by_word.items()}
    gold = [[tag for _, tag in sentence] for sentence in test]
    flat = [[majority for _ in sentence] for sentence in test]
    looked_up = [[best.get(word, majority) for word, _ in sentence] for sentence in test]
    return score(task, gold, flat), score(task, gold, looked_up)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    entries = read_manifest(pathlib.Path(sys.argv[1]))
    results = pathlib.Path(sys.argv[2])
    train, test = collections.defaultdict(list), {}
    for task, language, split, path, labels in entries:
        sentences = list(read_sentences(task, path, labels))
        if split == "train":
            train[task, language] += sentences
        elif split == "test":
            test[task, language] = sentences
    found = {}
    for task, language in test:
        file = results / f"{task}.{language}.json"
        if not file.is_file():
            sys.exit(f"score_table: {file} is missing: has `hyperx evaluate` run on this pair?")
        found[task, language] = json.loads(file.read_text(encoding="utf-8"))
    rows = []
    for (task, language), sentences in test.items():
        result = found[task, language]
        like = [pair for pair in found if pair[0] == task and found[pair]["trained"]]
        seen = [s for pair in ([(task, language)] if result["trained"] else like) for s in train[pair]]
        rows.append((not result["trained"], METRIC[task] != "accuracy", task, language, 100 * result["metrics"][METRIC[task]],
                     *baselines(task, seen, sentences), len(sentences)))
    rows.sort()
    print(f"{'pair':<8} {'score':<9} {'hyperx':>7} {'majority':>9} {'lookup':>7} {'sentences':>10}")
    for number, row in enumerate(rows):
        if number == 0 or rows[number - 1][0] != row[0]:
            print("never trained" if row[0] else "trained")
        _, _, task, language, reached, majority, lookup, count = row
        name = "accuracy" if task == "pos" else "F1"
        print(f"{task + ':' + language:<8} {name:<9} {reached:7.1f} {majority:9.1f} {lookup:7.1f} {count:10d}")


if __name__ == "__main__":
    main()
