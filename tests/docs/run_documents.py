#!/usr/bin/env python3
"""Runs the commands that the documents show.

usage: tests/docs/run_documents.py DOCUMENT...

Blocks fenced as ```bash run are run in their order, by one shell a document, in a scratch folder that holds links to launch/,
configs/ and examples/, with the built program's folder (HYPERX_BUILD/bin) first on PATH. The first command that fails ends the
document. A block fenced ```text output right after one holds lines, each of which must occur in its output (`...` stands for anything).
Exit codes: 0 all ran, 1 one failed, 77 nothing to run with.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(path):
    """(line, kind, text) of every fenced block that is `bash run` or `text output`."""
    found, kind, start, text = [], None, 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"```\s*(.*)$", line)
        if not fence:
            text.append(line)
        elif kind is None:
            kind, start, text = fence[1].strip(), number, []
        else:
            if kind in ("bash run", "text output"):
                found.append((start, kind, "\n".join(text) + "\n"))
            kind = None
    return found


def shows(output, line):
    pattern = ".*".join(re.escape(part.strip()) for part in line.split("..."))
    return any(re.search(pattern, candidate) for candidate in output.splitlines())


def run_document(path, folder, environment):
    shell_state, output, failed = "", "", 0
    for start, kind, text in blocks(path):
        place = f"{path.relative_to(ROOT)}:{start}"
        if kind == "text output":
            for line in filter(str.strip, text.splitlines()):
                if not shows(output, line):
                    print(f"FAILED {place}: the output does not have: {line}\n{output}")
                    failed += 1
            continue
        # One shell a block; what it exported and where it stood is handed to the next.
        state = pathlib.Path(folder) / ".shell-state"
        script = f"{shell_state}\nset -euo pipefail\n{text}\n{{ export -p; echo cd \"$PWD\"; }} >{state}\n"
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
        output = done.stdout
        if done.returncode:
            print(f"FAILED {place}: exit code {done.returncode} of\n{text}\n{output}")
            return failed + 1
        print(f"ran {place}")
        shell_state = state.read_text(encoding="utf-8")
    return failed


def main():
    build = pathlib.Path(os.environ.get("HYPERX_BUILD", ROOT / "build/release"))
    if not (build / "bin/hyperx").is_file():
        print(f"SKIPPED: {build}/bin/hyperx is not built")
        return 77
    failed = 0
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            for link in ("launch", "configs", "examples"):
                os.symlink(ROOT / link, pathlib.Path(folder) / link)
            environment = dict(os.environ, PATH=f"{build / 'bin'}:{os.environ['PATH']}", HYPERX_BUILD=str(build))
            failed += run_document(ROOT / name, folder, environment)
    return 1 if failed or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
