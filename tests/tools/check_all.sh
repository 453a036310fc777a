#!/usr/bin/env bash
# Checks that need no build: format, house rules, shell scripts, and that the rules' own checker finds what it should.
# One line a check: `PASS name`, `FAIL name` (with the findings above it) or `SKIP name: reason`. Exits 1 when one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

failed=0
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

# check NAME COMMAND...: the command's output is shown only when it fails.
check() {
  local name=$1
  shift
  if "$@" >"$findings" 2>&1; then
    echo "PASS $name"
  else
    sed 's/^/  /' "$findings"
    echo "FAIL $name"
    failed=1
  fi
}

files_like() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done || true; }

check_format() {
  local sources
  mapfile -t sources < <(files_like '*.h' '*.cpp' '*.cu' '*.cuh')
  local f bad=0
  for f in "${sources[@]}"; do
    "$1" --style=file "$f" | cmp -s - "$f" || { echo "$f: not as $1 -i would write it"; bad=1; }
  done
  return $bad
}

check_shell() {
  local script bad=0
  while read -r script; do
    bash -n "$script" || bad=1
    if [ -x "$script" ] && ! grep -q '^set -euo pipefail$' "$script"; then
      echo "$script: no 'set -euo pipefail'"
      bad=1
    fi
  done < <(grep -lE '^#!/usr/bin/env bash' $(files_like launch tests .ci cluster examples))
  return $bad
}

# Each of these lines breaks one rule; a checker that lets one through is itself broken.
check_lint_finds() {
  local folder=tests/tools/lint_probe bad=0 n=0 line
  mkdir -p $folder
  while IFS= read -r line; do
    n=$((n + 1))
    printf '#pragma once\n%b\n' "$line" >$folder/probe_$n.h
    if python3 tests/tools/lint.py $folder/probe_$n.h >/dev/null; then
      echo "lint.py finds nothing wrong with: $line"
      bad=1
    fi
  done <<'PROBES'
  MPI_Barrier(MPI_COMM_WORLD);
  const int status = H5Fclose(file);
  ncclCommAbort(comm);
  check(cudaFree(pointer));
using namespace std;
#if 0
const char* kFolder = "\057work/x";
int a;\040
  if (pair.task == "mlm") return;
  if (config.method == "hyperx") return;
constexpr const char* kMethods[] = {"mbert", "madx"};
  const HyperX method(context);
namespace hyperx::data {\nclass Tokenizer {\n};\n}
PROBES
  rm -rf $folder
  return $bad
}

# The counter of results: a failure, a skip and its reason must not get lost on the way.
check_summarise() {
  local folder found
  folder=$(mktemp -d)
  printf 'PASS one\nSKIP two: not installed\n' >"$folder/checks"
  cat >"$folder/junit.xml" <<'XML'
<testsuite>
<testcase name="three" status="run"><system-out>fine</system-out></testcase>
<testcase name="four" status="notrun"><skipped/><system-out>
f.cpp:12: Skipped
HYPERX_TEST_DATA is not set</system-out></testcase>
<testcase name="five" status="fail"><failure message=""/></testcase>
</testsuite>
XML
  found=$(python3 tests/tools/summarise.py "$@" --checks "$folder/checks" --junit "r=$folder/junit.xml") && echo "a failed test gives code 0"
  rm -r "$folder"
  echo "$found"
  grep -qxF 'SKIPPED r/four: HYPERX_TEST_DATA is not set' <<<"$found" && grep -qxF 'FAILED  r/five' <<<"$found" &&
    [ "$(tail -1 <<<"$found")" = "$expected" ]
}

formatter=$(command -v clang-format-14 || true)
if [ -z "$formatter" ]; then
  echo "SKIP format: clang-format-14 is not installed (launch/setup --dev installs it)"
else
  check format check_format "$formatter"
fi
check lint python3 tests/tools/lint.py
check lint-finds check_lint_finds
check shell check_shell
if command -v shellcheck >/dev/null; then
  check shellcheck shellcheck -x cluster/submit cluster/common.sh cluster/*.sbatch
else
  echo "SKIP shellcheck: it is not installed (launch/setup --dev installs it)"
fi
expected='2 passed, 1 failed, 2 skipped' check summarise check_summarise
expected='2 passed, 2 failed, 1 skipped' check summarise-data-given check_summarise --data-given
exit $failed
