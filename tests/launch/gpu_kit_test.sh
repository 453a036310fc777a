#!/usr/bin/env bash
# bench/gpu_kit: the packed file's size, and a whole run on a machine without MPI's or HDF5's folders at hand and without a GPU: what a
# CPU can show is measured, the rest is said to be left out; it ends on time; a part that fails stops no other.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

export HYPERX_BUILD=${HYPERX_BUILD:-$repository/build/release}
[ -x "$HYPERX_BUILD/bin/hyperx" ] || skip "$HYPERX_BUILD/bin/hyperx is not built"
command -v patchelf >/dev/null || skip "no patchelf here: launch/setup installs it"
python=${HYPERX_TEST_PYTHON:-$test_venv/bin/python}
[ -x "$python" ] || skip "no Python environment for tests: launch/setup --dev makes it"
kit=$repository/bench/gpu_kit

expect 64 "say pack or page" "$kit"
expect 73 "exists already" "$kit" pack "$scratch"
expect 0 "gpu-kit.tar.xz: " "$kit" pack "$scratch/gpu-kit.tar.xz"
[ "$failures" = 0 ] || finish
holds "at most 30 MB" test "$(stat -c %s "$scratch/gpu-kit.tar.xz")" -le 30000000
tar -C "$scratch" -xf "$scratch/gpu-kit.tar.xz"
run=("$python" "$scratch/hyperx-gpu-kit/run")

expect 64 "name a folder" "${run[@]}"
expect 66 "no PyTorch in $scratch" "${run[@]}" "$scratch/out" --torch "$scratch"
measure() { HYPERX_BUILD='' "${run[@]}" "$@" --torch "$libtorch_folder" --device cpu; }
expect 0 "all in " measure "$scratch/out" --minutes 6
cp "$scratch/output" "$scratch/whole"
holds "all parts did what a CPU can do" "$python" - "$scratch/out/results.jsonl" <<'PYTHON'
import json, sys
results = {row["part"]: row for row in map(json.loads, open(sys.argv[1]))}
only_gpu = {"libtorch-tests", "kernel-tests", "sanitizer"}
assert list(results) == ["machine", "libtorch-tests", "losses", "kernel-tests", "kernel-speed", "sanitizer", "steps-32", "steps-8192",
                         "peer-32", "peer-8192", "evaluation", "checkpoint-resume", "two-ranks"], list(results)
for name, row in results.items():
    assert row["status"] == ("left out" if name in only_gpu else "done"), row
    assert ("--device cpu" in row["why"]) == (name in only_gpu | {"losses", "steps-32", "steps-8192"}), row
values = {(part, row["what"]): row["value"] for part, result in results.items() for row in result["rows"]}
assert values["steps-32", "cpu: tokens/s, mean"] > 0 and values["steps-8192", "fastest"] > 0
assert values["peer-32", "peer, unpadded, prepacked"] > 0 and values["peer-8192", "hyperx is"] > 0
assert values["checkpoint-resume", "files of the last checkpoint that differ after a resume"] == 0
assert 0 <= values["two-ranks", "largest difference, two ranks to one"] < 1e-5
assert values["losses", "largest difference, bf16 to fp32"] < 0.02
PYTHON
[ "$failures" = 0 ] || cat "$scratch/whole" "$scratch"/out/results.md
holds "the tables say that no GPU was measured" grep -q 'no GPU was measured: --device cpu' "$scratch/out/results.md"
expect 66 "results.txt: no such file" "$kit" page "$scratch/results.txt"
expect 1 "holds no figures of a GPU" "$kit" page "$scratch/out/results.md"
cp "$repository/docs/benchmarks.md" "$scratch/benchmarks.md"
sed 's/no GPU was measured: --device cpu/a GPU/' "$scratch/out/results.md" >"$scratch/gpu.md"
holds "the page is written" python3 "$repository/bench/kit/page.py" "$scratch/benchmarks.md" "$scratch/gpu.md"
holds "the page has the tables" grep -q '^| device | a GPU |$' "$scratch/benchmarks.md"

SECONDS=0
expect 0 "no time left" measure "$scratch/short" --minutes 0.2
holds "ended on time, not after $SECONDS s" test $SECONDS -le 14
rm "$scratch/hyperx-gpu-kit/peer/peer_train.py"
expect 1 "No module named 'peer_train'" measure "$scratch/failing" --part peer-32 --part evaluation
holds "the part after the one that failed was measured" grep -q '"part": "evaluation", .*"status": "done"' "$scratch/failing/results.jsonl"
finish
