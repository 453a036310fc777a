#!/usr/bin/env python3
"""Counts what a manifest names, independently of hyperx, and compares with the summary of a prepared corpus.

    count_corpus.py MANIFEST DATA_ROOT ENCODER_FOLDER CORPUS_FOLDER

Reads the files by its own rules, tokenises with Hugging Face's `tokenizers` (PyPI), and prints every figure of summary.tsv that
differs. Exits 1 when one does, 2 when nothing could be compared. Knows data.overlap=report and pos.multiword=drop.
"""
import csv
import json
import pathlib
import re
import sys
import unicodedata

from tokenizers import Tokenizer

DEFAULT_MLM_LIMIT = 100000
DIACRITICS = re.compile("[\u064b-\u0652]")
COLUMNS = ["sentences", "words", "subwords", "unk", "empty", "truncated", "over_limit", "longest",
           "overlap_any", "overlap_own", "overlap_tasks", "overlap_text"]


def read_manifest(path, root):
    rows, header = [], None
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip() and not line.startswith("#"):
            fields = line.split("\t")
            if header is None:
                header = fields
            else:
                rows.append(dict(zip(header, fields + [""] * (len(header) - len(fields)))))
    for row in rows:
        options = (row.get("options") or "").split(";")
        row["options"] = dict(option.split("=", 1) for option in options if option)
        row["path"] = root / row["path"]
    return rows


def conllu_sentences(lines):
    words = []
    for line in lines:
        if not line.strip():
            if words:
                yield words
            words = []
        elif not line.startswith("#"):
            fields = line.split("\t")
            if fields[0].isdigit():
                words.append(fields[1])
    if words:
        yield words


def tagged_sentences(lines, options):
    words = []
    for line in lines:
        if not line.strip():
            if words:
                yield words
            words = []
            continue
        if options.get("comment") and line.startswith(options["comment"]):
            continue
        if "word" in options:
            word = (line.split("\t") if "\t" in line else line.split())[int(options["word"]) - 1]
        else:
            word = line.split("\t")[0] if "\t" in line else line.rstrip(" ").rsplit(" ", 1)[0].rstrip(" ")
        words.append(word.split(":", 1)[1] if options.get("prefix") == "strip" else word)
    if words:
        yield words


def sentences(row):
    options = row["options"]
    lines = [line.rstrip("\r") for line in row["path"].read_bytes().decode("utf-8-sig").split("\n")]
    if row["format"] == "conllu":
        found = conllu_sentences(lines)
    elif row["format"] == "tagged":
        found = tagged_sentences(lines, options)
    else:
        found = ([line] for line in lines if line.strip())
    limit = int(options.get("limit", DEFAULT_MLM_LIMIT if row["task"] == "mlm" else 0))
    for number, words in enumerate(found):
        if limit and number >= limit:
            break
        yield [DIACRITICS.sub("", word) for word in words] if options.get("strip-diacritics") == "yes" else words


def key(words):
    return unicodedata.normalize("NFC", "".join("".join(words).split()))


def sizes_of(tokenizer, strings, known):
    """Adds to `known`: string -> (sub-words, those that are [UNK]). Each different string is encoded once."""
    unk = tokenizer.token_to_id("[UNK]")
    fresh = list({string for words in strings for string in words} - known.keys())
    for string, encoding in zip(fresh, tokenizer.encode_batch(fresh, add_special_tokens=False)):
        known[string] = (len(encoding.ids), encoding.ids.count(unk))


def count(known, masked, found, room):
    total = dict.fromkeys(COLUMNS, 0)
    for words in found:
        length = 0
        for word in words:
            size, unknown = known[word]
            total["empty"] += size == 0
            total["truncated"] += size > 0 and not masked and length >= room
            total["unk"] += unknown
            length += size
        total["sentences"] += 1
        total["words"] += 0 if masked else len(words)
        total["subwords"] += length
        total["over_limit"] += length > room
        total["longest"] = max(total["longest"], length)
    return total


def count_overlaps(split, splits, total):
    """splits: (task, language, split) -> list of keys."""
    task, language, name = split
    if name == "train":
        return
    base = language.split("@")[0]
    trains = {other: set(keys) for other, keys in splits.items()
              if other[2] == "train" and other[1].split("@")[0] == base}
    for sentence in splits[split]:
        within = [other for other, keys in trains.items() if sentence in keys]
        total["overlap_any"] += bool(within)
        for other in within:
            kind = "own" if other[:2] == (task, language) else "text" if other[0] == "mlm" else "tasks"
            total["overlap_" + kind] += 1


def main():
    manifest, root, encoder, corpus = map(pathlib.Path, sys.argv[1:5])
    rows = read_manifest(manifest, root)
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    summary = json.loads((corpus / "summary.json").read_text(encoding="utf-8"))
    room = summary["max_subwords"] - 2
    found = {}
    for row in rows:
        found.setdefault((row["task"], row["language"], row["split"]), []).extend(sentences(row))
    keys = {split: [key(words) for words in those] for split, those in found.items()}
    totals, known = {}, {}
    for split, those in found.items():
        sizes_of(tokenizer, those, known)
        totals[split] = count(known, split[0] == "mlm", those, room)
        count_overlaps(split, keys, totals[split])
    differences = compared = 0
    with open(corpus / "summary.tsv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            expected = totals.pop((*row["pair"].split(":", 1), row["split"]), None)
            for column in COLUMNS:
                compared += 1
                if expected is None or int(row[column]) != expected[column]:
                    differences += 1
                    print(f"{row['pair']} {row['split']} {column}: summary {row[column]}, "
                          f"counted {expected and expected[column]}")
    for split in totals:
        differences += 1
        print(f"{split} is missing in the summary")
    print(f"{compared} figures compared, {differences} differ")
    sys.exit(2 if compared == 0 else 1 if differences else 0)


if __name__ == "__main__":
    main()
