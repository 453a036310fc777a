#!/usr/bin/env python3
"""hyperx tokenize against Hugging Face's `tokenizers` (PyPI): same file, same threads, same run, ids compared.

Usage: tokenizer_bench.py --hyperx build/release/bin/hyperx --encoder DIR [--threads 1,2] [--repeat 5] [--json FILE] FILE...

--encoder a folder with vocab.txt, tokenizer_config.json and tokenizer.json

The peer is called as its users call it: encode_batch_fast over the lines of the file, in memory already, without making lists of the
ids. Ours is the whole program: reading, tokenising, printing every id; its start (loading the vocabulary) is measured on an empty
file and taken off for the second ratio. Times are the best of the repeats, taken in turns.
"""
import argparse  # for what --help leaves out
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import common


def arguments():
    parser = common.parser(__doc__, "hyperx", "encoder")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)  # the child that RAYON_NUM_THREADS holds for
    parser.add_argument("files", nargs="+")
    return parser.parse_args()


def lines_of(path):
    text = pathlib.Path(path).read_bytes().decode()
    return text.removesuffix("\n").split("\n")


def serve_peer(options):
    """Answers each file name on standard input with the seconds of one pass, or, after a +, with the ids."""
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(options.encoder, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
    print(tokenizers.__version__, flush=True)
    for request in sys.stdin:
        path = request.strip()
        lines = lines_of(path.removeprefix("+"))
        begin = time.perf_counter()
        encodings = encode(lines, add_special_tokens=False)
        seconds = time.perf_counter() - begin
        print(json.dumps([e.ids for e in encodings]) if path.startswith("+") else seconds, flush=True)


class Peer:
    def __init__(self, options, threads):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
        command = [sys.executable, __file__, "--peer", "1", "--hyperx", "-", "--encoder", options.encoder, "-"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.version = self.process.stdout.readline().strip()

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run_ours(options, threads, path, keep=False):
    command = [options.hyperx, "tokenize", "--model.encoder", options.encoder, "--threads", str(threads), path]
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE if keep else subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    return [json.loads(line) for line in done.stdout.splitlines()] if keep else seconds


def main():
    options = arguments()
    if options.peer:
        return serve_peer(options)
    rows = []
    print(f"{'file':24} {'threads':>7} {'MB':>6} {'peer s':>8} {'ours s':>8} {'start s':>8} {'ratio':>7} {'without start':>13}")
    for threads in map(int, options.threads.split(",")):
        peer = Peer(options, threads)
        for path in options.files:
            if run_ours(options, threads, path, keep=True) != peer.ask("+" + path):
                sys.exit(f"{path}: the ids differ; no time is worth comparing")
            times = [(peer.ask(path), run_ours(options, threads, path), run_ours(options, threads, "/dev/null"))
                     for _ in range(options.repeat)]
            theirs, ours, start = (min(column) for column in zip(*times))
            row = {"file": pathlib.Path(path).name, "threads": threads, "bytes": os.path.getsize(path), "peer_seconds": theirs,
                   "seconds": ours, "start_seconds": start, "ratio": theirs / ours,
                   "ratio_without_start": theirs / max(ours - start, 1e-4)}
            rows.append(row)
            print(f"{row['file']:24} {threads:7} {row['bytes'] / 1e6:6.2f} {theirs:8.3f} {ours:8.3f} {start:8.3f} {row['ratio']:6.1f}x "
                  f"{row['ratio_without_start']:12.1f}x", flush=True)
        peer.close()
    machine = {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count(), "tokenizers": peer.version}
    common.write_json(options.json, {"machine": machine, "rows": rows})


if __name__ == "__main__":
    main()
