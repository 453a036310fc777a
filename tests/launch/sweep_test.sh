#!/usr/bin/env bash
# `hyperx sweep` on this machine: packed rows, signals, crashes, a full disk, two starts at once; ranks; and the lists of rows in
# GNU parallel, Snakemake and HyperQueue themselves.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
[ -x "$hyperx" ] || skip "$hyperx is not built"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
python=${HYPERX_TEST_PYTHON:-$test_venv/bin/python}
[ -x "$python" ] || python=python3
cd "$scratch"
"$hyperx" prepare "$repository/examples/sample/manifest.tsv" --data.corpus corpus --model.encoder "$repository/examples/encoder" >/dev/null 2>&1

new_sweep() {  # new_sweep NAME STEPS [LINE...]: further lines of the sweep file
  cat >"$1.conf" <<SETTINGS
data.corpus = corpus
model.encoder = random:$repository/examples/encoder
model.encoder_layers = 1
train.pairs = pos:en
train.steps = $2
train.warmup_steps = 1
train.batch_sentences = 4
checkpoint.every = 20
eval.every = 0
hyperx.adapter_dim = 8
hyperx.projected_dim = 8
SETTINGS
  printf '%s\n' "${@:3}" >>"$1.conf"
  "$hyperx" sweep plan "$1.conf" --output "sweeps/$1" >/dev/null 2>plan.err || { cat plan.err; return 1; }
}
count() { "$hyperx" sweep status "$1" --json | "$python" -c "import json, sys; print(json.load(sys.stdin)['counts']['$2'])"; }
counts() { holds "$1 has $3 rows $2" [ "$(count "sweeps/$1" "$2")" = "$3" ]; }  # counts NAME STATE NUMBER
wait_until() {  # wait_until COMMAND...
  local tries
  for ((tries = 0; tries < 600; ++tries)); do
    ! "$@" || return 0
    sleep 0.1
  done
  echo "FAILED: waited in vain for: $*"
  return 1
}
run_of() { "$hyperx" sweep list "sweeps/$1" --row "$2" --format folder; }  # run_of NAME ROW
steps_of() { { cat "$(run_of "$1" "$2")/metrics.jsonl" 2>/dev/null || true; } | { grep -c '"event":"step"' || true; }; }
has_steps() { [ "$(steps_of "$1" "$2")" -gt "$3" ]; }
trains_each_step_once() {  # trains_each_step_once NAME ROW STEPS
  holds "row $2 of $1 has every step once" \
    [ "$(grep -o '"event":"step".*' "$(run_of "$1" "$2")/metrics.jsonl" | wc -l)" = "$3" ]
}

# ---- Packed: a row that fails does not stop the others; what is done ends at once; from another folder ----
new_sweep packed 4 '[list]' 'train.seed = 1 | 2 | 3' "model.encoder = random:$repository/examples/encoder | random:late | random:$repository/examples/encoder" \
  '[evaluate]' 'eval.split = dev' 'eval.pairs = pos:*'
expect 66 "done 2 (1,3), saved 0, not started 0, running elsewhere 0, failed 1 (2)" "$hyperx" sweep run sweeps/packed --jobs 2
holds "the reason is shown" grep -q 'late' output
holds "its log is shown" grep -q "sweeps/packed/logs/[0-9a-f]*.log" output
counts packed failed 1
cp -r "$repository/examples/encoder" late
mkdir elsewhere
expect 0 "done 3 (1-3)" env -C elsewhere "$hyperx" sweep run ../sweeps/packed --jobs 2
counts packed evaluated 3
expect 0 "row 2 is done already" "$hyperx" sweep run sweeps/packed --row 2
expect 0 "row 2 is done already" "$hyperx" sweep run sweeps/packed --row "$(basename "$(run_of packed 2)")"
expect 0 "scores.csv: 3 rows, 3 of them with scores" "$hyperx" sweep collect sweeps/packed --output scores.csv
holds "the table has a line for each row" [ "$(wc -l <scores.csv)" = 4 ]
holds "the table has scores" "$python" - <<'PYTHON'
import csv
rows = list(csv.DictReader(open("scores.csv")))
assert [row["row"] for row in rows] == ["1", "2", "3"], rows
assert all(0 <= float(row["dev pos:en accuracy"]) <= 1 and row["dev pos:en n"] == "405" for row in rows), rows
PYTHON
mkdir moved && mv corpus late sweeps moved
expect 0 "done 3 (1-3)" "$hyperx" sweep run moved/sweeps/packed
mv moved/* .

# ---- SIGTERM saves; kill -9 of the pool saves its rows, too; the next start continues ----
new_sweep stopped 600 '[sweep]' 'seeds = 1-3'
"$hyperx" sweep run sweeps/stopped --jobs 2 >stopped.out 2>stopped.err &
pool=$!
wait_until has_steps stopped 2 25
kill -TERM $pool
code=0
wait $pool || code=$?
holds "a stopped pool ends with 75 ($code)" [ $code = 75 ]
holds "it says what remains" grep -q 'done 0, saved 2 (1-2), not started 1 (3)' stopped.out
counts stopped saved 2
before=$(steps_of stopped 1)
"$hyperx" sweep run sweeps/stopped --jobs 2 >/dev/null 2>&1 &
pool=$!
wait_until has_steps stopped 1 $((before + 25))
expect 73 "running elsewhere 1 (1)" "$hyperx" sweep run sweeps/stopped --rows 1
expect 73 "is running in this folder" "$hyperx" sweep run sweeps/stopped --row 2
kill -KILL $pool
wait $pool 2>/dev/null || true
none_runs() { [ "$(count sweeps/stopped running)" = 0 ]; }
wait_until none_runs
counts stopped saved 2
expect 0 "done 3 (1-3)" "$hyperx" sweep run sweeps/stopped --jobs 3
for row in 1 2 3; do trains_each_step_once stopped $row 600; done

# ---- Two pools at once: each row is trained once, none is lost ----
new_sweep twice 60 '[sweep]' 'seeds = 1-4'
"$hyperx" sweep run sweeps/twice --jobs 2 >/dev/null 2>&1 &
pool=$!
code=0
"$hyperx" sweep run sweeps/twice --jobs 2 >/dev/null 2>&1 || code=$?
wait $pool || true
holds "the second pool ends with 0 or 73 ($code)" [ $((code == 0 || code == 73)) = 1 ]
counts twice finished 4
for row in 1 2 3 4; do trains_each_step_once twice $row 60; done

# ---- A full disk ----
mkdir full
if mount -t tmpfs -o size=5m none full 2>/dev/null; then
  new_sweep disk 40 '[sweep]' 'seeds = 1-3'
  mv sweeps/disk full/disk
  ln -s ../full/disk sweeps/disk
  code=0
  "$hyperx" sweep run sweeps/disk --jobs 2 >disk.out 2>&1 || code=$?
  holds "a full disk is a failure ($code)" [ $((code == 73 || code == 74)) = 1 ]
  mount -o remount,size=64m full
  expect 0 "done 3 (1-3)" "$hyperx" sweep run sweeps/disk --jobs 2
  for row in 1 2 3; do trains_each_step_once disk $row 40; done
  umount full
else
  echo "no tmpfs can be mounted here: a full disk is not tried"
fi

# ---- Ranks: under mpirun one stage at a time, otherwise launch/run ----
new_sweep ranks 4 '[sweep]' 'seeds = 1-2' '[evaluate]' 'eval.split = dev' 'eval.pairs = pos:en'
expect 64 "add \`--only train\`" mpirun -np 2 "$hyperx" sweep run sweeps/ranks --row 1
expect 66 "not trained to its end" "$hyperx" sweep run sweeps/ranks --row 1 --only evaluate
expect 0 "" mpirun -np 2 "$hyperx" sweep run sweeps/ranks --row 1 --only train
expect 0 "" mpirun -np 2 "$hyperx" sweep run sweeps/ranks --row 1 --only evaluate
expect 0 "done already" mpirun -np 2 "$hyperx" sweep run sweeps/ranks --row 1 --only evaluate
expect 0 "done 2 (1-2)" "$hyperx" sweep run sweeps/ranks --ranks 2
holds "both had two ranks" [ "$(cat sweeps/ranks/runs/*/hosts.tsv | grep -vc '^rank')" = 4 ]

# ---- GNU parallel ----
if [ -n "$(command -v parallel)" ]; then
  new_sweep parallel 4 '[sweep]' 'seeds = 1-3'
  "$hyperx" sweep list sweeps/parallel >rows.sh
  expect 0 "" parallel --jobs 2 --arg-file rows.sh
  counts parallel finished 3
else
  echo "there is no GNU parallel: its list is not tried (apt-get install parallel)"
fi

# ---- Snakemake ----
if "$python" -c 'import snakemake' 2>/dev/null; then
  new_sweep snakes 4 '[sweep]' 'seeds = 1-3'
  expect 0 "Snakefile: 3 rows" "$hyperx" sweep list sweeps/snakes --format snakemake --output Snakefile
  expect 0 "" "$python" -m snakemake --snakefile Snakefile --cores 2
  counts snakes finished 3
  expect 0 "Nothing to be done" "$python" -m snakemake --snakefile Snakefile --cores 2
else
  echo "there is no Python environment with snakemake: its list is not tried (launch/setup --dev)"
fi

# ---- HyperQueue: PyPI has its server, workers and Python interface, but not the program hq. What `hq submit --from-json` does is
# one task for each object, which the variable HQ_ENTRY holds.
if "$python" -c 'import hyperqueue' 2>/dev/null; then
  new_sweep queue 4 '[sweep]' 'seeds = 1-3'
  "$hyperx" sweep list sweeps/queue --format json --output rows.json
  cat >queue.py <<'PYTHON'
import json
import sys

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client()
    job = Job()
    for entry in json.load(open("rows.json")):
        command = f'{sys.argv[1]} sweep run sweeps/queue --row "$HQ_ENTRY"'
        job.program(["sh", "-c", command], env={"HQ_ENTRY": json.dumps(entry)}, cwd=sys.argv[2])
    client.wait_for_jobs([client.submit(job)])
PYTHON
  expect 0 "" "$python" queue.py "$hyperx" "$scratch"
  counts queue finished 3
else
  echo "there is no Python environment with hyperqueue: its list is not tried (launch/setup --dev)"
fi

# ---- row: there is no package of it. Its documentation says what the files hold; the command is run as row would. ----
new_sweep rowed 4 '[sweep]' 'seeds = 1-2'
expect 0 "project: 2 rows" "$hyperx" sweep list sweeps/rowed --format row --output project
holds "row's files" "$python" - <<'PYTHON'
import json
import pathlib
import subprocess
import tomllib

workflow = tomllib.loads(pathlib.Path("project/workflow.toml").read_text())
assert set(workflow) == {"workspace", "action"}, workflow
action, = workflow["action"]
for directory in pathlib.Path("project/workspace").iterdir():
    value = json.loads((directory / workflow["workspace"]["value_file"]).read_text())
    assert set(value) == {"row", "values"}, value
    subprocess.run(["bash", "-c", action["command"].replace("{directory}", directory.name)], cwd="project", check=True, capture_output=True)
    assert all((directory / product).exists() for product in action["products"])
PYTHON
counts rowed finished 2
finish
