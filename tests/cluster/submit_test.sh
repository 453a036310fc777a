#!/usr/bin/env bash
# cluster/submit and site.conf without a SLURM: the sbatch lines, the warnings and the errors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../launch/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
[ -x "$hyperx" ] || skip "$hyperx is not built"
submit=$repository/cluster/submit
settings=(--run.dir "$scratch/run" --data.corpus corpus --model.encoder encoder --train.pairs pos:en)
cp "$repository/cluster/site.conf" "$scratch/site.conf"
export HYPERX_SITE=$scratch/site.conf
site() { printf '%s\n' "$@" >>"$scratch/site.conf"; }
printf 'train.steps = 100\ncheckpoint.every = 50\n' >"$scratch/my.conf"

expect 0 "--nodes 1 --ntasks-per-node 1 --output $scratch/run/slurm/%j.log --signal=USR1@300 --requeue" \
  "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
expect 0 "train.sbatch $scratch/run --config $scratch/my.conf --run.dir $scratch/run" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
expect 0 "--nodes 2 --ntasks-per-node 4" "$submit" "$scratch/my.conf" --nodes 2 --ranks-per-node 4 --dry-run -- "${settings[@]}"
holds "a dry run makes no folder" test ! -e "$scratch/run"

# Settings are checked before anything waits in a queue.
expect 66 "nowhere.conf: no such settings file" "$submit" "$scratch/nowhere.conf" --dry-run
expect 64 "unknown option --trian.steps" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}" --trian.steps 3
expect 78 "data.corpus is not set" "$submit" "$scratch/my.conf" --dry-run -- --run.dir "$scratch/run"
expect 64 "--nodes two: it is a whole number" "$submit" "$scratch/my.conf" --nodes two --dry-run -- "${settings[@]}"
expect 64 "unknown option '--node'" "$submit" "$scratch/my.conf" --node 2
expect 64 "--chain is for trainings" "$submit" --evaluate "$scratch" --chain 2
expect 64 "--sweep needs --array" "$submit" --sweep "$scratch"
expect 64 "--array 1-x: rows look like" "$submit" --sweep "$scratch" --array 1-x
expect 66 "plan.json: no such file" "$submit" --sweep "$scratch" --array 1-3 --dry-run
expect 64 "name a settings file" "$submit"
expect 64 "--time soon: sbatch takes" "$submit" "$scratch/my.conf" --time soon --dry-run -- "${settings[@]}"

# What site.conf says.
site partition=gpu account=nlp gres=gpu:4 ranks_per_node=4 cpus_per_rank=8 'options=(--constraint=a100)' time=30
expect 0 "--partition gpu --account nlp --gres gpu:4 --cpus-per-task 8 --time 30" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
expect 0 "--constraint=a100" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
site launcher=mpirun requeue=no
expect 0 "--signal=B:USR1@300 --no-requeue" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
expect 0 "--dependency afterany:JOB" "$submit" "$scratch/my.conf" --chain 3 --dry-run -- "${settings[@]}"
holds "a chain of three jobs" test "$(grep -c ^sbatch "$scratch/output")" = 3
holds "the first is held until the others are queued" grep -q -- --hold "$scratch/output"

# A row a job where arrays are not allowed.
touch "$scratch/plan.json"
expect 0 "--array 1-3\\,7%2" "$submit" --sweep "$scratch" --array 1-3,7%2 --dry-run
site arrays=no
expect 0 "ROW=7" "$submit" --sweep "$scratch" --array 1-3,7%2 --dry-run
holds "four jobs" test "$(grep -c ^sbatch "$scratch/output")" = 4

# Too short a time: by the metrics of the run, else by estimate.
expect 0 "is not known yet" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
site 'speed=(--gpu a100-40)'
"$hyperx" prepare "$repository/examples/sample/manifest.tsv" --data.corpus "$scratch/corpus" --model.encoder "$repository/examples/encoder" >/dev/null 2>&1
expect 0 "shorter than two checkpoint intervals" "$submit" "$scratch/my.conf" --time 1 --dry-run -- --run.dir "$scratch/run" --data.corpus "$scratch/corpus" \
  --train.pairs pos:en --model.encoder "random:$repository/examples/encoder" --train.batch_sentences 100000 --checkpoint.every 1000000 --train.steps 2000000
holds "by estimate" grep -q "hyperx estimate --gpu a100-40" "$scratch/output"
mkdir -p "$scratch/run"
printf '{"state":"running","step":50,"steps":100,"world_size":1,"started":"2026-01-01T00:00:00Z","heartbeat":"2026-01-01T00:00:00Z","checkpoint":"","process":{"host":"x","pid":1}}' >"$scratch/run/state.json"
for step in $(seq 40 50); do echo "{\"event\":\"step\",\"step\":$step,\"seconds\":10,\"tokens\":100,\"loss\":1}"; done >"$scratch/run/metrics.jsonl"
expect 0 "the time limit of 600 s is shorter than two checkpoint intervals of 500 s each (this run's metrics)" \
  "$submit" "$scratch/my.conf" --time 10 --dry-run -- "${settings[@]}"
expect 0 "" "$submit" "$scratch/my.conf" --time 0-01 --dry-run -- "${settings[@]}"
holds "an hour is enough" test -z "$(grep warning "$scratch/output")"

site launcher=aprun
expect 78 "launcher=aprun: it is srun or mpirun" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
site launcher=srun 'modules=(gcc/99)'
expect 78 "modules=(gcc/99)" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
site 'modules=()' 'setup="false"'
expect 78 "setup: 'false' failed" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
site 'setup=' 'program=/nowhere/hyperx'
expect 66 "/nowhere/hyperx: no such program" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
echo 'nodes=(' >>"$scratch/site.conf"
expect 78 "bash cannot read it" "$submit" "$scratch/my.conf" --dry-run -- "${settings[@]}"
HYPERX_SITE=$scratch/none expect 66 "none: no such file" "$submit" "$scratch/my.conf" --dry-run
finish
