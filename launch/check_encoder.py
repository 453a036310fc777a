#!/usr/bin/env python3
"""Checks an encoder's folder without any package: config.json's sizes, the tokenizer's size, every tensor's shape.

usage: check_encoder.py FOLDER LAYERS HIDDEN VOCABULARY    (-: any value)

The weights are model.safetensors or, without it, pytorch_model.bin; no tensor data is read. Called by launch/get-encoder.
Exit codes: 0 all is well, 65 a file is not what it should be (one line on stderr says which, and why).
"""
import collections
import json
import os
import pickle
import re
import struct
import sys
import zipfile

MAX_HEADER_BYTES = 100_000_000
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def fail(path, what):
    print(f"get-encoder: {path}: {what}. Delete the file and run launch/get-encoder again", file=sys.stderr)
    sys.exit(65)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        fail(path, f"it is not JSON ({error})")
    if not isinstance(value, dict):
        fail(path, "it is not a JSON object")
    return value


def safetensors_shapes(path):
    """{name: shape} from the header; the tensors must cover the rest of the file, without gaps."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            fail(path, "it is not a safetensors file")
        try:
            header = json.loads(file.read(length))
            tensors = {name: (str(entry["dtype"]), [int(n) for n in entry["shape"]], *(int(n) for n in entry["data_offsets"][:2]))
                       for name, entry in header.items() if name != "__metadata__"}
        except (ValueError, AttributeError, KeyError, TypeError, OverflowError) as error:
            fail(path, f"its header is damaged ({error!r})")
    covered = 0
    for name, (dtype, shape, begin, end) in sorted(tensors.items(), key=lambda item: item[1][2:]):
        expected = BYTES.get(dtype, 0)
        for extent in shape:
            expected *= extent
        if begin != covered or end - begin != expected:
            fail(path, f"its header is damaged at {name}: bytes {begin} to {end}, {dtype} {shape}")
        covered = end
    if size != 8 + length + covered:
        fail(path, f"it has {size} bytes, but its header says {8 + length + covered}")
    return {name: tensor[1] for name, tensor in tensors.items()}


class ShapesOnly(pickle.Unpickler):
    """Reads the dictionary of torch.save: a tensor becomes its shape, and nothing else in the file is run."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *rest: list(shape)
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"it holds {module}.{name}, not only tensors")

    def persistent_load(self, pid):
        return None


def pickle_shapes(path):
    if not zipfile.is_zipfile(path):
        fail(path, "it is not a whole file of torch.save (PyTorch 1.6 or newer)")
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                shapes = ShapesOnly(file).load()
        return {name: shape for name, shape in shapes.items() if isinstance(shape, list)}
    except (StopIteration, zipfile.BadZipFile):
        fail(path, "it is not a file of torch.save")
    except Exception as error:  # a damaged pickle can raise anything
        fail(path, f"its list of tensors is damaged ({error})")


def expected_shapes(config):
    """The encoder's tensors, without the prefix of the family; LayerNorms by their new names."""
    h, f = config["hidden_size"], config["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": [config["vocab_size"], h],
              "embeddings.position_embeddings.weight": [config["max_position_embeddings"], h],
              "embeddings.token_type_embeddings.weight": [config["type_vocab_size"], h],
              "embeddings.LayerNorm": [h]}
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        for part, shape in (("attention.self.query", [h, h]), ("attention.self.key", [h, h]), ("attention.self.value", [h, h]),
                            ("attention.output.dense", [h, h]), ("intermediate.dense", [f, h]), ("output.dense", [h, f])):
            shapes[f"{at}{part}.weight"] = shape
            shapes[f"{at}{part}.bias"] = shape[:1]
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[at + part] = [h]
    for norm in [name for name in shapes if name.endswith("LayerNorm")]:
        shapes[norm + ".weight"] = shapes[norm + ".bias"] = shapes.pop(norm)
    return shapes


def check_weights(path, found, config):
    old_names = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    named = {}
    for name, shape in found.items():
        name = re.sub(r"^(bert|roberta)\.", "", name)
        named[re.sub(r"LayerNorm\.(gamma|beta)$", lambda match: old_names[match[0]], name)] = shape
    for name, shape in expected_shapes(config).items():
        if name not in named:
            fail(path, f"it has no tensor {name}, which config.json asks for")
        if named[name] != shape:
            fail(path, f"{name} has the shape {named[name]}, but config.json says {shape}")
    layers = 1 + max(int(number) for number in re.findall(r"^encoder\.layer\.(\d+)\.", "\n".join(named), re.MULTILINE))
    if layers != config["num_hidden_layers"]:
        fail(path, f"it has {layers} layers, but config.json says {config['num_hidden_layers']}")


def check_tokenizer(folder, vocabulary):
    path = f"{folder}/tokenizer.json"
    if os.path.exists(f"{folder}/vocab.txt"):
        path = f"{folder}/vocab.txt"
        with open(path, "rb") as file:
            pieces = sum(1 for _ in file)
    elif os.path.exists(path):
        model = read_json(path).get("model")
        if not isinstance(model, dict) or model.get("type") != "Unigram" or not isinstance(model.get("vocab"), list):
            fail(path, "it is not a Unigram tokenizer")
        pieces = len(model["vocab"])
    else:
        return  # sentencepiece.bpe.model: hyperx reads it with its own checks
    if not 0 < pieces <= vocabulary:
        fail(path, f"it has {pieces} pieces, but config.json says vocab_size {vocabulary}")


def main():
    folder, wanted = sys.argv[1], sys.argv[2:]
    path = f"{folder}/config.json"
    config = read_json(path)
    for key in ("num_hidden_layers", "hidden_size", "vocab_size", "intermediate_size", "max_position_embeddings", "type_vocab_size"):
        if not isinstance(config.get(key), int) or config[key] < 1:
            fail(path, f"{key} is {config.get(key)!r}, not a size above 0")
    for key, value in zip(("num_hidden_layers", "hidden_size", "vocab_size"), wanted):
        if value != "-" and config[key] != int(value):
            fail(path, f"{key} is {config[key]}, but this encoder has {value}")
    check_tokenizer(folder, config["vocab_size"])
    weights = f"{folder}/model.safetensors"
    if os.path.exists(weights):
        check_weights(weights, safetensors_shapes(weights), config)
    else:
        weights = f"{folder}/pytorch_model.bin"
        check_weights(weights, pickle_shapes(weights), config)


if __name__ == "__main__":
    main()
