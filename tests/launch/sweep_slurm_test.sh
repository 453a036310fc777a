#!/usr/bin/env bash
# `hyperx sweep submit` on a real SLURM: an array of six rows, one of which fails, is submitted again and succeeds; a canary;
# limits; two submitters at once; one that was killed before it noted its job; a job that is gone from the queue.
set -euo pipefail
# shellcheck source=tests/cluster/lab.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cluster/lab.sh"

SLURM_LAB_CPUS=4 start_lab 1 0
export HYPERX_BUILD=${HYPERX_BUILD:-$repository/build/release}

cd "$scratch"
cat >site.conf <<SITE
program=$hyperx
requeue=no
restarts=0
SITE
export HYPERX_SITE=$scratch/site.conf
"$hyperx" prepare "$repository/examples/sample/manifest.tsv" --data.corpus corpus --model.encoder "$repository/examples/encoder" >/dev/null 2>&1
# The last row's encoder is not there yet.
settings() {  # settings STEPS
  cat <<SETTINGS
data.corpus = corpus
model.encoder = random:$repository/examples/encoder
model.encoder_layers = 1
train.pairs = pos:en
train.steps = $1
train.batch_sentences = 4
checkpoint.every = 10
eval.every = 0
hyperx.adapter_dim = 8
hyperx.projected_dim = 8
threads = 1
SETTINGS
}
{
  settings 4
  cat <<'SETTINGS'
[list]
train.seed = 1 | 2 | 3 | 4 | 5 | 6
model.encoder = ENCODER | ENCODER | ENCODER | ENCODER | ENCODER | random:late
[evaluate]
eval.split = dev
eval.pairs = pos:en
SETTINGS
} | sed "s|ENCODER|random:$repository/examples/encoder|g" >six.conf
expect 0 "there is no such folder yet" "$hyperx" sweep plan six.conf --output sweeps/six

wait_for_queue() {  # until no job is left
  local tries
  for ((tries = 0; tries < 600; ++tries)); do
    squeue -h -t all -o %T | grep -qvE 'COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL' || return 0
    sleep 0.2
  done
  squeue
  return 1
}
count() { "$hyperx" sweep status "$1" --json | python3 -c "import json, sys; print(json.load(sys.stdin)['counts']['$2'])"; }
counts() {  # counts SWEEP STATE NUMBER
  holds "$1 has $3 rows $2" [ "$(count "$1" "$2")" = "$3" ]
}

expect 0 "cluster/submit --dry-run --sweep sweeps/six --array 1-6" "$hyperx" sweep submit sweeps/six --dry-run
holds "a dry run submits nothing" [ -z "$(squeue -h)" ]
holds "a dry run notes nothing" [ ! -e sweeps/six/submissions.tsv ]
# Two at once: one of them finds all rows in the queue, or the sweep locked.
"$hyperx" sweep submit sweeps/six >first.out 2>&1 &
first=$!
second_code=0
"$hyperx" sweep submit sweeps/six >second.out 2>&1 || second_code=$?
first_code=0
wait $first || first_code=$?
holds "one of two submitters submits ($first_code, $second_code)" [ $((first_code == 0 || first_code == 73)) = 1 ]
expect 0 "" "$hyperx" sweep submit sweeps/six
holds "each row is submitted once" [ "$(cut -f5 sweeps/six/submissions.tsv | sort | uniq -c | awk '$2 == "1-6" {print $1}')" = 2 ]
holds "the jobs end" wait_for_queue
counts sweeps/six evaluated 5
counts sweeps/six failed 1
holds "SLURM knows which failed" [ "$(grep -c 'JobState=FAILED' "$scratch/slurm/log/jobcomp.txt")" = 1 ]
expect 0 "1 failed rows are left out: --failed submits them" "$hyperx" sweep submit sweeps/six
expect 0 "nothing to submit" "$hyperx" sweep submit sweeps/six --pending

cp -r "$repository/examples/encoder" late
expect 0 ": rows 6" "$hyperx" sweep submit sweeps/six --failed
holds "the jobs end" wait_for_queue
counts sweeps/six evaluated 6
expect 0 "nothing to submit" "$hyperx" sweep submit sweeps/six --failed --pending

# A canary, arrays of at most 3 rows, and a limit: 7 rows of which 5 may be in the queue.
{
  settings 4
  printf '[sweep]\nseeds = 11-17\n'
} >seven.conf
"$hyperx" sweep plan seven.conf --output sweeps/seven >/dev/null
scontrol show config >config.txt
mkdir limited
printf '#!/bin/sh\nsed "s/^MaxArraySize.*/MaxArraySize = 4/" %s/config.txt\n' "$scratch" >limited/scontrol
chmod +x limited/scontrol
expect 75 "2 rows remain for a later call" env PATH="$scratch/limited:$PATH" "$hyperx" sweep submit sweeps/seven --canary --max 5
holds "the first row goes ahead" grep -q ': rows 1$' output
holds "two of its array wait for it" grep -q ': rows 2-3, after the success of job' output
holds "the next array has its own numbers" grep -q ': rows 4-5, after the success of job' output
holds "the jobs end" wait_for_queue
counts sweeps/seven finished 5
expect 0 ": rows 6" env PATH="$scratch/limited:$PATH" "$hyperx" sweep submit sweeps/seven
holds "the jobs end" wait_for_queue
counts sweeps/seven finished 7

# Killed between sbatch and its note: the next call finds the job by its comment. Cancelled: submitted again.
{
  settings 5000
  printf '[sweep]\nseeds = 21-22\n'
} >two.conf
"$hyperx" sweep plan two.conf --output sweeps/two >/dev/null
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\n"%s/cluster/submit" "$@" >job.txt || exit 1\nkill -9 $(cat submitter)\n' "$repository" >killing
chmod +x killing
(sh -c 'echo $$ >submitter; exec "$0" sweep submit sweeps/two --script ./killing -- --hold' "$hyperx" >/dev/null 2>&1) || true
holds "only the intention is noted" [ "$(wc -l <sweeps/two/submissions.tsv)" = 2 ]
expect 0 "2 rows are in the queue already" "$hyperx" sweep submit sweeps/two
counts sweeps/two submitted 2
scancel "$(cat job.txt)"
holds "the jobs end" wait_for_queue
expect 0 "2 pending" "$hyperx" sweep status sweeps/two --slurm
expect 0 ": rows 1-2" "$hyperx" sweep submit sweeps/two
job=$(tail -1 sweeps/two/submissions.tsv | cut -f3)
for ((tries = 0; tries < 300; ++tries)); do
  [ "$(count sweeps/two running)" != 2 ] || [ "$("$hyperx" sweep status sweeps/two --json | grep -c '"step": 0,')" != 0 ] || break
  sleep 0.2
done
counts sweeps/two running 2
scancel --signal=USR1 "$job"
holds "the jobs end" wait_for_queue
counts sweeps/two saved 2

# A site that allows no arrays: a job for each row; whose ranks mpirun starts; and one that lets a user have three jobs in the queue.
{
  cat site.conf
  printf 'arrays=no\nmax_submit=3\nlauncher=mpirun\n'
} >single.conf
{
  settings 4
  printf '[sweep]\nseeds = 31-34\n'
} >four.conf
"$hyperx" sweep plan four.conf --output sweeps/four >/dev/null
export HYPERX_SITE=$scratch/single.conf
expect 75 "1 rows remain for a later call" "$hyperx" sweep submit sweeps/four -- --hold --ntasks-per-node=2
holds "there are three jobs" [ "$(squeue -h | wc -l)" = 3 ]
expect 75 "3 rows are in the queue already" "$hyperx" sweep submit sweeps/four
scontrol release "$(squeue -h -o %A | paste -sd,)"
holds "the jobs end" wait_for_queue
expect 0 ": rows 4" "$hyperx" sweep submit sweeps/four
holds "the jobs end" wait_for_queue
counts sweeps/four finished 4
holds "mpirun started two ranks of the first three" [ "$(cat sweeps/four/runs/*/hosts.tsv | grep -vc '^rank')" = 7 ]
finish
