#!/usr/bin/env python3
"""House rules that a compiler does not check. Prints `file:line: rule` for each breach and exits 1 when there is one.

usage: tests/tools/lint.py [FILE...]      (without FILE: every file that git tracks or would track)
"""
import collections
import functools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A call of a C library whose result is thrown away: no check can have seen it.
LIBRARY_CALL = r"(?:MPI_[A-Z]\w+|nccl[A-Z]\w+|cuda[A-Z]\w+|H5[A-Z]{1,2}\w+)"
DISCARDED = re.compile(r"^\s*(?:\(void\)\s*)?(" + LIBRARY_CALL + r")\s*\(")
CALLED = re.compile(r"(?<![\w.:])(" + LIBRARY_CALL + r")\s*\(")
STATEMENT_END = re.compile(r"[;{}:]\s*$|\)\s*$|^\s*$|^\s*#")  # what the line before a new statement ends with
MAY_BE_DISCARDED = re.compile(r"MPI_Abort|MPI_Finalize|H5E\w+")  # the end of the process; HDF5's error stack, read after a failure

# Where calls of each library may stand: its wrapper, and the wrapper's own test.
WRAPPERS = {
    "MPI_": re.compile(r"^(src|tests)/trainer/comm/|^(src|tests)/trainer/.*mpi_|^src/app/version"),
    "nccl": re.compile(r"^(src|tests)/trainer/comm/|^src/app/version"),
    "cuda": re.compile(r"\.cuh?$|^(src|tests)/trainer/comm/|^src/common/cuda_|^src/model/ops/|^src/app/version"),
    "H5": re.compile(r"^(src|tests)/common/hdf5/|^src/app/version"),
}

# A letter in brackets keeps these patterns from finding themselves.
FORBIDDEN = [
    (re.compile(r"(?:^|[^.\w-])/(?:[w]ork|[r]oot|[f]arm)/"), "a path of one machine"),
    (re.compile(r"py[p]i\.org|files\.pythonhoste[d]\.org|deb\.debia[n]\.org|registry\.npm[j]s"), "the host of a registry"),
]
CODE = {".h", ".cpp", ".cu", ".cuh"}

# Names of tasks and methods stand in their own folders and rows; all other code asks the task or the method. Examples in
# help texts and comments are no code: there a name is part of a longer string. `"hyperx"` is also the program's name, a
# namespace and a value of `kernels`, so it is a method's name only next to the word `method`. config.h has the default.
NAMED = [
    (re.compile(r'"(?:pos|ner|mlm)"'), re.compile(r"^(?:src|bench)/(?!data/tasks/|model/heads/|.*\.py)|/lint_probe/"),
     "a task's name in code: ask the Task (src/data/tasks/task.h)"),
    (re.compile(r'"(?:mbert|madx|psf)"|\b(?:HyperX|MBert|MadX|Psf)\b|\bmethod\b.*"hyperx"|"hyperx".*\bmethod\b'),
     re.compile(r"^(?:src|bench)/(?!model/methods/|common/config/config\.h|peers/)|/lint_probe/"),
     "a method's name in code: ask the Method (src/model/methods/method.h)"),
]
CLASS = re.compile(r"(?:class|struct|enum class) (\w+)(?: final)?(?:\s*:[^:{;][^{;]*)?\s*\{")
TEXT_SKIPPED = ("examples/sample/data/", "examples/encoder/vocab.txt", "tests/golden/", "tests/fuzz/corpus/")
MAX_LINES = 400
MAX_BYTES = 3_000_000


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout.decode().split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def without_comments_and_strings(line):
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def without_comments(line):
    return re.sub(r'("(?:\\.|[^"\\])*")|//.*', lambda found: found[1] or "", line)


def name_breaches(name, lines):
    for pattern, where, what in NAMED:
        if not where.search(name):
            continue
        for number, line in enumerate(lines, 1):
            if pattern.search(without_comments(line)):
                yield number, f"{what}: {line.strip()[:100]}"


def classes_of(lines):
    """(namespace, class, line) of what is defined at a line's beginning."""
    namespace = next((found[1] for line in lines if (found := re.match(r"namespace ([\w:]+) \{", line))), "")
    for number, line in enumerate(lines, 1):
        found = CLASS.match(line)
        if found:
            yield namespace, found[1], number


@functools.lru_cache
def headers_of_classes():
    headers = collections.defaultdict(set)
    for name in tracked_files():
        if name.startswith(("src/", "bench/")) and name.endswith(".h"):
            for namespace, what, _ in classes_of((ROOT / name).read_text(encoding="utf-8").split("\n")):
                headers[namespace, what].add(name)
    return headers


# The linker takes one of the two for both, without a word.
def class_breaches(name, lines):
    for namespace, what, number in classes_of(lines):
        for other in headers_of_classes()[namespace, what] - {name}:
            yield number, f"{namespace}::{what} is also defined in {other}"


def code_breaches(name, lines):
    if len(lines) > MAX_LINES and not name.endswith("_tables.cpp"):  # tables of data have no functions to part
        yield len(lines), f"{len(lines)} lines; a source file has {MAX_LINES} at most"
    is_header = name.endswith((".h", ".cuh"))
    if is_header and not any(line.strip() == "#pragma once" for line in lines):
        yield 1, "a header without #pragma once"
    if name.endswith(".cpp"):
        header = pathlib.Path(name).with_suffix(".h")
        includes = [line for line in lines if line.startswith("#include")]
        own = f'#include "{header.relative_to("src")}"' if name.startswith("src/") else ""
        if own and (ROOT / header).is_file() and (not includes or includes[0].strip() != own):
            yield 1, f"its own header comes first: {own}"
    previous = ""
    for number, line in enumerate(lines, 1):
        code = without_comments_and_strings(line)
        starts_statement = STATEMENT_END.search(previous)
        previous = code if code.strip() or not line.strip() else previous
        if "\t" in line:
            yield number, "a tab"
        if is_header and re.match(r"\s*using namespace", code):
            yield number, "using namespace in a header"
        if re.match(r"\s*#\s*if\s+0\b", code):
            yield number, "code under #if 0"
        discarded = DISCARDED.match(code)
        if discarded and starts_statement and not MAY_BE_DISCARDED.match(discarded[1]):
            yield number, f"the result of {discarded[1]} is thrown away: call it through its wrapper's check"
        for call in CALLED.finditer(code):
            prefix = next(p for p in WRAPPERS if call[1].startswith(p))
            if not WRAPPERS[prefix].search(name):
                yield number, f"{call[1]} outside the wrapper of its library"


def markdown_breaches(name, lines):
    for number, line in enumerate(lines, 1):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            if not (ROOT / name).parent.joinpath(target).exists():
                yield number, f"a link to {target}, which does not exist"


def breaches(name):
    path = ROOT / name
    size = path.stat().st_size
    if size > MAX_BYTES:
        yield 1, f"{size} bytes; a file of the repository has {MAX_BYTES} at most"
    if name.startswith(TEXT_SKIPPED):
        return
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        return
    if lines and lines[-1] == "":
        lines.pop()
    elif size and path.suffix != ".json":
        yield len(lines), "no newline at the end of the file"
    for number, line in enumerate(lines, 1):
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                yield number, f"{what}: {line.strip()[:100]}"
        if re.search(r"\b(?:TO[D]O|FI[X]ME)\b", line):
            yield number, "unfinished work marked in the text"
        if line.rstrip() != line and not name.endswith((".tsv", ".conllu", ".patch")):
            yield number, "white space at the end of the line"
    if path.suffix in CODE:
        yield from code_breaches(name, lines)
        yield from name_breaches(name, lines)
        if path.suffix == ".h" and not name.startswith("tests/model/cuda/"):  # a stand-in has the names of what it stands for
            yield from class_breaches(name, lines)
    if path.suffix == ".md":
        yield from markdown_breaches(name, lines)


def main():
    names = sys.argv[1:] or tracked_files()
    count = 0
    for name in names:
        for number, what in breaches(name):
            print(f"{name}:{number}: {what}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
