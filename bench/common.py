"""What the benchmarks of this folder share."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
MANIFEST_HEAD = "task\tlanguage\tsplit\tformat\tpath\toptions\n"


def parser(doc, *required):
    """A parser with these options, which must be given, and --json."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in required:
        made.add_argument("--" + name, required=True)
    made.add_argument("--json", metavar="FILE", help="the figures for programs")
    return made


def run(command):
    """Standard output of a command; where it fails, so does the benchmark, with the command's own words."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {' '.join(words)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def run_for_memory(command):
    """Runs a command as run() does; the most memory that it held, in MB."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {' '.join(words)}\nended with {process.returncode}:\n{said.read()[-2000:].decode()}")
    return usage.ru_maxrss / 1024


def bench_of(hyperx):
    """The program hyperx-bench that lies beside hyperx."""
    return pathlib.Path(hyperx).with_name("hyperx-bench")


def prepare(hyperx, encoder, rows, corpus):
    """`hyperx prepare` of manifest rows (task, language, split, format, path)."""
    manifest = pathlib.Path(str(corpus) + ".tsv")
    manifest.write_text(MANIFEST_HEAD + "".join("\t".join(map(str, row)) + "\t\n" for row in rows))
    run([hyperx, "prepare", manifest, "--data.corpus", corpus, "--model.encoder", encoder])


def tagged_sentences(file):
    """[[(word, tag)]] of a CoNLL-U file."""
    sentences, words = [], []
    for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        if not line:
            sentences.append(words)
            words = []
        elif columns[0].isdigit():
            words.append((columns[1].replace(" ", ""), columns[3]))
    return [sentence for sentence in sentences if sentence]


def write_json(path, figures):
    if path:
        pathlib.Path(path).write_text(json.dumps(figures, indent=1) + "\n")
