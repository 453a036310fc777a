#!/usr/bin/env python3
"""Compares a folder that `hyperx import encoder` wrote with the file it was made from, read by numpy alone.

usage: check_imported_encoder.py e5-small-q4.bin FOLDER      (exits 1 and says what differs)
"""
import json
import pathlib
import struct
import sys

import numpy as np

PARTS = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
         "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
         "fo": "output.dense", "oln": "output.LayerNorm"}
TABLES = {"emb.word": "word_embeddings", "emb.pos": "position_embeddings", "emb.type": "token_type_embeddings",
          "emb.ln.w": "LayerNorm", "emb.ln.b": "LayerNorm"}
ENDS = {"w": ".weight", "b": ".bias"}


def hugging_face_name(name):
    if name in TABLES:
        return "embeddings." + TABLES[name] + ENDS.get(name.split(".")[-1], ".weight")
    layer, part, end = name.split(".")
    return f"encoder.layer.{layer[1:]}.{PARTS[part]}{ENDS[end]}"


def read_source(path):
    """The sizes, and for each tensor its values in float32."""
    data = path.read_bytes()
    sizes = dict(zip(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
                      "max_position_embeddings", "type_vocab_size"), struct.unpack_from("<7i", data, 8)))
    count, = struct.unpack_from("<i", data, 44)
    text_length, = struct.unpack_from("<Q", data, 64)
    at = 72 + 4 * (count + 1) + 4 * count + text_length
    at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    tensors = {}
    number, = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(number):
        length, = struct.unpack_from("<H", data, at)
        name = data[at + 2:at + 2 + length].decode()
        kind, elements, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        content = np.frombuffer(data, np.uint8, size, offset)
        if kind == 0:
            values = content.view("<f4")
        else:
            blocks = content.reshape(-1, 18)
            scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
            numbers = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
            values = (numbers * scales).reshape(-1)
        assert values.size == elements, name
        tensors[hugging_face_name(name)] = values
    return sizes, tensors


def to_bfloat16(values):
    """Upper halves, rounded to the nearest; of two equally near, the even one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    upper, rest = bits >> 16, bits & 0xFFFF
    return (upper + ((rest > 0x8000) | ((rest == 0x8000) & (upper % 2 == 1)))).astype(np.uint16)


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    sizes, tensors = read_source(source)
    config = json.loads((folder / "config.json").read_text())
    faults = [f"config.json: {key} is {config.get(key)}, not {value}" for key, value in sizes.items()
              if config.get(key) != value]
    hidden, inner = sizes["hidden_size"], sizes["intermediate_size"]
    data = (folder / "model.safetensors").read_bytes()
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__")
    faults += [f"only on one side: {name}" for name in sorted(set(header) ^ set(tensors))]
    for name in sorted(set(header) & set(tensors)):
        entry, values = header[name], tensors[name]
        begin, end = entry["data_offsets"]
        columns = inner if name.endswith(".output.dense.weight") and "attention" not in name else hidden
        is_vector = name.endswith(".bias") or "LayerNorm" in name
        shape = [values.size] if is_vector else [values.size // columns, columns]
        written = np.frombuffer(data, np.uint8, end - begin, 8 + length + begin)
        expected = to_bfloat16(values) if entry["dtype"] == "BF16" else values.view(np.uint32)
        if entry["shape"] != shape:
            faults.append(f"{name}: shape {entry['shape']}, not {shape}")
        elif not np.array_equal(written.view(expected.dtype), expected):
            faults.append(f"{name}: other values")
    print("\n".join(faults) or f"{len(header)} tensors agree")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
