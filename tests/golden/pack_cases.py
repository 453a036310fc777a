#!/usr/bin/env python3
"""Packs reference cases for tests/golden/cases: what the tests compare, each array once.

usage: tests/golden/pack_cases.py SOURCE [CASE...]      (CASE: array cases to pack; default: all of SOURCE that a test reads)

SOURCE is a folder of cases as their makers wrote them, described in tests/golden/cases/README.md. Left out: the float32 twin of an
array that is there in float64 too, arrays that the original does not compute (`extra`) or that hyperx has no like of
(`..._of_float32_run`), the table of tensors in case.json (a safetensors file has its own), cases of methods and tasks that hyperx
lacks, and the words of the sentences under `features`.
"""
import json
import pathlib
import shutil
import struct
import sys

CASES = pathlib.Path(__file__).resolve().parent / "cases"
WHOLE_FILES = ("metrics/ner.json", "metrics/ner_release.json", "metrics/pos_release.json", "sampler/sampler.json",
               "tokenizer/codepoints.tsv", "tokenizer/strings.jsonl", "tokenizer/tokenizer.tsv")
FEATURE_KEYS = ("file", "sentence", "line", "max_length", "task", "input_ids", "labels")


def read_tensors(path):
    """Name -> (dtype, shape, bytes) of a safetensors file."""
    content = path.read_bytes()
    begin = 8 + struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8:begin])
    table.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], content[begin:][slice(*entry["data_offsets"])]) for name, entry in table.items()}


def write_tensors(path, tensors):
    """The widest types first, so that every array is aligned."""
    table, data = {}, []
    at = 0
    for name, (dtype, shape, content) in sorted(tensors.items(), key=lambda item: (-int(item[1][0][1:]), item[0])):
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        data.append(content)
        at += len(content)
    head = json.dumps(table, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(data))


def is_kept(name, names):
    part, rest = name.split("/", 1)
    if part.startswith("extra"):
        return rest == "loss_words_only"
    return not rest.endswith("_of_float32_run") and f"{part}64/{rest}" not in names


def pack_arrays(source, target):
    target.mkdir(parents=True, exist_ok=True)
    tensors = read_tensors(source / "case.safetensors")
    write_tensors(target / "case.safetensors", {name: tensor for name, tensor in tensors.items() if is_kept(name, tensors)})
    case = json.loads((source / "case.json").read_text())
    del case["tensor_index"]
    (target / "case.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")


def pack_features(source, target):
    items = [json.loads(line) for line in (source / "features/features.jsonl").read_text().splitlines()]
    kept = [{key: item[key] for key in FEATURE_KEYS if key in item} for item in items if item["task"] != "dep"]
    target.joinpath("features").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in kept]
    (target / "features/features.jsonl").write_text("\n".join(lines) + "\n")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    source, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    if not names:
        names = sorted(path.parent.name for path in source.glob("*/case.json"))
    for name in names:
        pack_arrays(source / name, CASES / name)
    for name in WHOLE_FILES:
        (CASES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, CASES / name)
    pack_features(source, CASES)


if __name__ == "__main__":
    main()
