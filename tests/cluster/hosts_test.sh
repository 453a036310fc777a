#!/usr/bin/env bash
# Two hosts under a real SLURM, and under mpirun over ssh: a node is lost, a rank is killed, a link is cut.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

export SLURMD_TIMEOUT=10
start_hosts
make_project
printf 'nodes=2\nranks_per_node=1\n' >>"$HYPERX_SITE"

job=$(submit_training plain)
ends_well "$job"
holds "a rank on each host" test "$(cut -f3 "$scratch/plain/hosts.tsv" | grep -c "node[AB]")" = 2

# ---- a node is lost: SLURM queues the job again when it is back, and nobody needs to do anything
job=$(submit_training lost)
wait_for_step lost 110
"$lab/labnet.sh" crash "$LAB_DIR" nodeB
wait_for 60 "the requeue of job $job" test_field "$job" Restarts 1
"$lab/labnet.sh" heal "$LAB_DIR" nodeB
on nodeB slurmd -N nodeB -f "$scratch/slurm/slurm.conf"
ends_well "$job"
holds "the log keeps both starts" grep -q "start 2:" "$(log_of lost "$job")"
holds "it continued" grep -q "resumed from" "$(log_of lost "$job")"
holds "the bits are those of the undisturbed run" same_bits plain lost

# ---- the same, of a rank on the other host
job=$(submit_training killed)
wait_for_step killed 120
kill_rank killed
ends_well "$job"
holds "the bits are those of the undisturbed run" same_bits plain killed

# ---- mpirun: a cut link is noticed, and the run continues from its checkpoint
"$lab/lab-sshd.sh" "$LAB_DIR"
printf 'nodeA slots=1\nnodeB slots=1\n' >"$scratch/hostfile"
start_on_hosts() {
  on head env OMPI_MCA_plm_rsh_agent="ssh -F $LAB_DIR/ssh_config" HYPERX_BUILD="$(dirname "$(dirname "$hyperx")")" \
    "$repository/launch/run" -n 2 -t 1 --hostfile "$scratch/hostfile" train --config "$scratch/my.conf" --run.dir "$scratch/cut" --resume auto
}
start_on_hosts >"$scratch/cut.log" 2>&1 &
launched=$!
wait_for_step cut 110
"$lab/labnet.sh" cut "$LAB_DIR" nodeB drop
start=$SECONDS code=0
wait $launched || code=$?
holds "mpirun ended with an error, not $code" test $code != 0 -a $code != 75
# Open MPI's own keepalive, without launch/run's settings, takes 490 s, and the watchdog 60 s.
holds "a cut link is noticed within 30 s, not $((SECONDS - start))" test $((SECONDS - start)) -lt 30
"$lab/labnet.sh" heal "$LAB_DIR" nodeB
sleep 2
code=0
start_on_hosts >"$scratch/cut.log" 2>&1 || code=$?
holds "it continued to its end, not $code" test $code = 0
holds "from a checkpoint" grep -q "resumed from" "$scratch/cut.log"
holds "the bits are those of the undisturbed run" same_bits plain cut
finish
