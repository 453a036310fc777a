#!/usr/bin/env bash
# The scripts of cluster/ on a real SLURM of one machine: exit codes, signals, lost ranks, requeue, preemption, chains, arrays.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

SLURM_LAB_CPUS=4 SLURM_LAB_PREEMPTION=1 start_lab 1 0
make_project
submit=$repository/cluster/submit

# ---- submit, and an undisturbed run to compare with
job=$(submit_training plain)
ends_well "$job"

# ---- SIGUSR1 as before the time limit: saved, started again in the same allocation, the same bits
job=$(submit_training signal)
wait_for_step signal 20
hold signal
insist "holds_signal signal USR1" scancel --signal=USR1 "$job"
release signal
ends_well "$job"
holds "it was saved by the signal" grep -q "stopped by SIGUSR1" "$(log_of signal "$job")"
holds "it started again in its allocation" grep -q "starting again in this allocation (1 of 2)" "$(log_of signal "$job")"
holds "the bits are those of the undisturbed run" same_bits plain signal

# ---- a rank is killed
job=$(submit_training killed)
wait_for_step killed 120
kill_rank killed
ends_well "$job"
holds "a rank was killed" grep -q Killed "$(log_of killed "$job")"
holds "the bits are those of the undisturbed run" same_bits plain killed

# ---- requeued by hand, and preempted by a job of a partition of higher priority
job=$(submit_training requeued)
wait_for_step requeued 20
hold requeued
scontrol requeue "$job"
ends_well "$job"
holds "the log keeps both starts" grep -q "start 2:" "$(log_of requeued "$job")"
holds "the bits are those of the undisturbed run" same_bits plain requeued

job=$(submit_training preempted --ranks-per-node 4)
wait_for_step preempted 20
hold preempted
urgent=$(sbatch --parsable --partition urgent --ntasks 4 --output /dev/null --wrap "sleep 1")
wait_for_end "$urgent"
ends_well "$job"
holds "preemption saved" grep -q "stopped by SIGTERM" "$(log_of preempted "$job")"
holds "its place was given up at once" grep -q "exit code 75: back into the queue" "$(log_of preempted "$job")"
holds "and the job began again" grep -q "start 2:" "$(log_of preempted "$job")"

# ---- what cannot succeed is not tried again, and its code is the job's
job=$(submit_training broken --train.pairs pos:xx)
wait_for_end "$job"
holds "job $job FAILED with 78" ended_as "$job" FAILED 78:0
holds "it was started once" test "$(grep -c "start 1:" "$(log_of broken "$job")")" = 1
# Only one of several ranks says why where all find the same mistake; the others do not hide its code.
job=$("$submit" "$scratch/my.conf" --parsable -- --run.dir "$scratch/late" --checkpoint.every 10)
rm "$scratch/my.conf"
wait_for_end "$job"
write_settings
holds "job $job FAILED with 66" ended_as "$job" FAILED 66:0

# ---- what fails again and again without progress ends: tries=3
cp "$HYPERX_SITE" "$scratch/site.few"
printf 'tries=3\nrestarts=1\n' >>"$scratch/site.few"
job=$(HYPERX_SITE=$scratch/site.few submit_training slow --parallel.step_limit_seconds 1 --train.batch_sentences 8000)
wait_for_end "$job"
holds "job $job FAILED" test "$(field "$job" JobState)" = FAILED
holds "after three tries" grep -q "3 failures in a row" "$(log_of slow "$job")"
holds "of which one was queued again" grep -q "start 2:" "$(log_of slow "$job")"
holds "train.log has the reason" grep -q "no progress in section step" "$scratch/slow/train.log"

# ---- chains: where requeue is not allowed
chain=$(submit_training chain --chain 3)
first=$(head -1 <<<"$chain") last=$(tail -1 <<<"$chain")
wait_for_step chain 20
hold chain
insist "have_ended chain" scancel --signal=KILL "$first"  # the job, with its script
for job in $chain; do wait_for_end "$job"; done
holds "the last job found the run finished, and ended with 0" ended_as "$last" COMPLETED 0:0
holds "the bits are those of the undisturbed run" same_bits plain chain

started_nothing() {  # started_nothing RUN JOB
  [ "$(field "$2" JobState)" = CANCELLED ] || grep -q "nothing is started" "$(log_of "$1" "$2")"
}
chain=$(submit_training broken-chain --chain 3 --train.pairs pos:xx)
first=$(head -1 <<<"$chain")
for job in $chain; do wait_for_end "$job"; done
holds "the first job of a broken chain FAILED with 78" ended_as "$first" FAILED 78:0
for job in $(tail -n +2 <<<"$chain"); do
  holds "job $job of it started nothing" started_nothing broken-chain "$job"
done

# A job of a chain that dies in the queue does not hold up the others.
held=$(sbatch --parsable --hold --wrap true --output /dev/null)
chain=$(submit_training orphan --chain 2 --dependency "afterany:$held")
scancel "$(head -1 <<<"$chain")"
wait_for_end "$(tail -1 <<<"$chain")"
holds "the second job trained in its place" ended_as "$(tail -1 <<<"$chain")" COMPLETED 0:0
holds "the bits are those of the undisturbed run" same_bits plain orphan

# ---- a second job for the same run is refused, and says who holds it
job=$(submit_training twice)
wait_for_step twice 5
hold twice
other=$(submit_training twice)
wait_for_end "$other"
release twice
holds "job $other FAILED with 73" ended_as "$other" FAILED 73:0
ends_well "$job"

# ---- evaluation: one run, then an array of runs
job=$("$submit" --evaluate "$scratch/plain" --parsable -- --eval.split test --threads 1)
ends_well "$job"
holds "it wrote results" test -f "$scratch/plain/results/step-0000400/test/pos.en.json"

mkdir "$scratch/runs"
cp -r "$scratch/plain" "$scratch/runs/a"
cp -r "$scratch/signal" "$scratch/runs/b"
array=$("$submit" --evaluate "$scratch/runs" --array 1-3 --parsable -- --eval.split test --threads 1)
for task in 1 2 3; do wait_for_end "${array}_$task"; done
for run in a b; do holds "the array scored run $run" test -f "$scratch/runs/$run/results/step-0000400/test/ner.en.json"; done
holds "a task without a run FAILED with 66" ended_as "${array}_3" FAILED 66:0

# ---- where srun and the MPI library do not fit together: mpirun
cp "$HYPERX_SITE" "$scratch/site.mpirun"
echo launcher=mpirun >>"$scratch/site.mpirun"
job=$(HYPERX_SITE=$scratch/site.mpirun submit_training by-mpirun)
wait_for_step by-mpirun 20
hold by-mpirun
insist "holds_signal by-mpirun USR1" scancel --batch --signal=USR1 "$job"
release by-mpirun
ends_well "$job"
holds "it was saved by the signal" grep -q "stopped by SIGUSR1" "$(log_of by-mpirun "$job")"

# ---- srun without PMIx: N processes that do not see each other are refused
code=0
srun --mpi=none -n 2 "$hyperx" train --config "$scratch/my.conf" --run.dir "$scratch/apart" >"$scratch/output" 2>&1 || code=$?
holds "64 where MPI does not see srun's tasks, not $code" test $code = 64
holds "and the reason" grep -q "each would train alone\|disagree" "$scratch/output"
finish
