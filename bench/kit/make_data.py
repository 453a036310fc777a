#!/usr/bin/env python3
"""Makes the kit's encoders, corpus and the peer's sentences.

usage: HYPERX=PROGRAM make_data.py EXAMPLES KIT
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SENTENCES = 1920  # as parts.py
UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
# Both have mBERT's tokenizer, so that one corpus serves both; e5's table of sub-words is as large as it really is.
SIZES = {"mbert": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
         "e5-small-6": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=250037)}


def sentences_of(path):
    return [block for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]


def words_of(block):
    """(word, tag) of the syntactic words."""
    rows = [line.split("\t") for line in block.splitlines() if line and line[0] != "#"]
    return [(row[1], row[3]) for row in rows if row[0].isdigit()]


def main():
    examples, kit, hyperx = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), os.environ["HYPERX"]
    for name, sizes in SIZES.items():
        folder = kit / "encoders" / name
        shutil.copytree(examples / "encoder", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | sizes, indent=1) + "\n")
    treebank = {split: examples / f"sample/data/pos.en.{split}.conllu" for split in ("train", "dev")}
    train = sentences_of(treebank["train"])[:SENTENCES]
    assert len(train) == SENTENCES
    with tempfile.TemporaryDirectory() as scratch:
        (pathlib.Path(scratch) / "train.conllu").write_text("\n\n".join(train) + "\n\n", encoding="utf-8")
        shutil.copy(treebank["dev"], pathlib.Path(scratch) / "dev.conllu")
        manifest = pathlib.Path(scratch) / "manifest.tsv"
        manifest.write_text("task\tlanguage\tsplit\tformat\tpath\toptions\n" +
                            "".join(f"pos\ten\t{split}\tconllu\t{split}.conllu\t\n" for split in ("train", "dev")))
        subprocess.run([hyperx, "prepare", manifest, "--data.corpus", kit / "corpus", "--model.encoder", kit / "encoders/mbert",
                        "--pos.multiword", "drop"], check=True)
    words = [words_of(block) for block in train]
    asked = "".join(json.dumps([word for word, _ in sentence]) + "\n" for sentence in words)
    answer = subprocess.run([hyperx, "tokenize", "--json", "--model.encoder", kit / "encoders/mbert"], input=asked, text=True,
                            capture_output=True, check=True).stdout
    vocabulary = {piece: number for number, piece in enumerate((kit / "encoders/mbert/vocab.txt").read_text(encoding="utf-8").splitlines())}
    rows = []
    for sentence, line in zip(words, answer.splitlines(), strict=True):
        ids, where, labels = [vocabulary["[CLS]"]], [], []
        for (_, tag), pieces in zip(sentence, json.loads(line), strict=True):
            if pieces:
                where.append(len(ids))
                labels.append(UPOS.index(tag))
            ids += pieces
        rows.append({"ids": ids + [vocabulary["[SEP]"]], "where": where, "labels": labels})
    (kit / "peer/sentences.json").write_text(json.dumps(rows, separators=(",", ":")))


if __name__ == "__main__":
    main()
