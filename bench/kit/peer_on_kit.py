#!/usr/bin/env python3
"""The PyTorch peer on the kit's sentences, which hyperx has cut into sub-words, and an encoder of the kit's size.

usage: peer_on_kit.py KIT ENCODER [OPTIONS OF peer_train.py]
"""
import json
import pathlib
import sys

kit, encoder = pathlib.Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(kit / "peer"))
import numpy as np  # noqa: E402
import peer_train  # noqa: E402


def load_pair(folder, pair, limit):
    rows = json.loads(pathlib.Path(folder, "sentences.json").read_text())
    assert all(len(row["ids"]) <= limit for row in rows)
    return [tuple(np.array(row[name], np.int64) for name in ("ids", "where", "labels")) for row in rows], 0


config = json.loads((kit / "encoders" / encoder / "config.json").read_text())
peer_train.ENCODERS[encoder] = dict(layers=config["num_hidden_layers"], hidden=config["hidden_size"], heads=config["num_attention_heads"],
                                    ffn=config["intermediate_size"], vocab=config["vocab_size"])
peer_train.load_pair = load_pair
sys.argv[1:] = ["--data", str(kit / "peer"), "--pairs", "pos#en", "--encoder", encoder, *sys.argv[3:]]
peer_train.main()
