#!/usr/bin/env bash
# start-slurm.sh DIR [NODES [GPUS]]: a SLURM cluster on this machine, as root, without systemd. Configuration, key, sockets, logs, state
# and PIDs are all below DIR.
#   NODES=1 (default)  one node of `nproc` CPUs with this machine's name
#   NODES=N            N nodes n0, n1, ... on this machine, one `slurmd -N` each
#   LAB_DIR=DIR2 set   the hosts of `labnet.sh up DIR2`: the first runs slurmctld, each of the others is a node
# GPUS (default 2): fake GPUs of each node; 0 for none.
# Environment: SLURM_LAB_CPUS, the CPUs that each node claims (default `nproc`); SLURM_PORT, the first port (default 16817);
# SLURMD_TIMEOUT, seconds until a dead node is DOWN (default 30); SLURM_KILL_WAIT, seconds from SIGTERM to SIGKILL (default 3);
# SLURM_LAB_PREEMPTION=1: a second partition, `urgent`, whose jobs send those of `main` back into the queue, 20 s after their SIGTERM.
# Afterwards: . DIR/env.sh, then sbatch, srun, ... (with LAB_DIR: on one of its hosts).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
dir=$(realpath -m "${1:?usage: $0 DIR [NODES [GPUS]]}"); nodes=${2:-1}; gpus=${3:-2}
[ "$(id -u)" = 0 ] || { echo "must be root" >&2; exit 1; }
[ -e "$dir/pids" ] && { echo "$dir/pids exists: stop it first" >&2; exit 1; }
cpus=${SLURM_LAB_CPUS:-$(nproc)}; mem=$(($(awk '/MemTotal/{print $2}' /proc/meminfo) / 1024 - 512))
me=$(hostname -s); lab=${LAB_DIR:-}; port=${SLURM_PORT:-16817}; addr=127.0.0.1
if [ -n "$lab" ]; then
  mapfile -t names < "$lab/names"; ctld=${names[0]}; names=("${names[@]:1}"); nodes=${#names[@]}
  on() { "${LABNET_SH:-$here/labnet.sh}" exec "$lab" "$@"; }
  addr_of() { on "$1" getent ahostsv4 "$1" | awk '{print $1; exit}'; }
  addr=$(addr_of "$ctld")
else
  ctld=$me; on() { shift; "$@"; }
  if ((nodes == 1)); then names=("$me"); else names=(); for ((i = 0; i < nodes; i++)); do names+=("n$i"); done; fi
fi
mkdir -p "$dir"/{munge,log,dev,state/ctld}; m=$dir/munge
for n in "${names[@]}"; do mkdir -p "$dir/state/d-$n" "$dir/state/tmp-$n"; done
[ -e "$m/key" ] || dd if=/dev/urandom of="$m/key" bs=1 count=128 status=none
chmod 755 "$dir" "$m"; chmod 600 "$m/key"
for ((i = 0; i < gpus; i++)); do [ -e "$dir/dev/gpu$i" ] || mknod "$dir/dev/gpu$i" c 1 3; done

{ cat <<C
ClusterName=lab
SlurmctldHost=$ctld($addr)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
# A node may claim more CPUs than the machine has.
SlurmdParameters=config_overrides
AuthType=auth/munge
# A requeued job waits for cred_expire: at least 5 s, 120 s by default.
AuthInfo=socket=$m/sock,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state/ctld
SlurmdSpoolDir=$dir/state/d-%n
# TmpFS is where mpi/pmix creates its session folder: one per node, because the nodes share /tmp.
TmpFS=$dir/state/tmp-%n
SlurmctldPidFile=$dir/state/slurmctld.pid
SlurmdPidFile=$dir/state/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
# No cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
# No database: jobcomp.txt has one line per finished job.
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=${SLURMD_TIMEOUT:-30}
KillWait=${SLURM_KILL_WAIT:-3}
MinJobAge=3600
PropagateResourceLimits=NONE
C
g=; if ((gpus > 0)); then echo "GresTypes=gpu"; g=" Gres=gpu:fake:$gpus"; fi
i=0
for n in "${names[@]}"; do
  i=$((i + 1))
  if [ -n "$lab" ]; then w="NodeAddr=$(addr_of "$n") Port=$((port + 1))"
  else w="NodeHostname=$me NodeAddr=127.0.0.1 Port=$((port + i))"; fi
  echo "NodeName=$n $w CPUs=$cpus SocketsPerBoard=1 CoresPerSocket=$cpus RealMemory=$((mem / nodes))$g State=UNKNOWN"
done
if [ -n "${SLURM_LAB_PREEMPTION:-}" ]; then
  echo "PreemptType=preempt/partition_prio"
  echo "PreemptMode=REQUEUE"
  echo "PartitionName=urgent Nodes=ALL PriorityTier=10 MaxTime=INFINITE DefaultTime=10 State=UP"
  preempted=" PriorityTier=1 PreemptMode=REQUEUE GraceTime=20"
fi
echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP${preempted:-}"
} > "$dir/slurm.conf"
if ((gpus > 0)); then echo "Name=gpu Type=fake File=$dir/dev/gpu[0-$((gpus - 1))]" > "$dir/gres.conf"; fi
cat > "$dir/env.sh" <<C
export SLURM_CONF=$dir/slurm.conf
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
C
if [ -z "$lab" ]; then
  # These nodes share a hostname, so Open MPI's shared-memory segments of two nodes would get the same names and crash: TCP only.
  ((nodes > 1)) && echo "export OMPI_MCA_btl=self,tcp" >> "$dir/env.sh"
  echo "export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo" >> "$dir/env.sh"
fi
. "$dir/env.sh"; ulimit -c 0
started() { # NAME PIDFILE: waits for the file, records the PID
  local k; for ((k = 0; k < 200; k++)); do [ -s "$2" ] && break; sleep 0.05; done
  [ -s "$2" ] || { echo "$1 did not start" >&2; tail -n 5 "$dir"/log/* >&2; exit 1; }
  echo "$1 $(cat "$2")" >> "$dir/pids"
}
rm -f "$dir"/state/*.pid "$m/pid"; : > "$dir/pids"
munged --key-file="$m/key" --socket="$m/sock" --pid-file="$m/pid" --seed-file="$m/seed" \
       --log-file="$m/log" --num-threads=2
started munged "$m/pid"
on "$ctld" slurmctld -c -f "$dir/slurm.conf" || true; started slurmctld "$dir/state/slurmctld.pid"
for n in "${names[@]}"; do
  on "$n" slurmd -N "$n" -f "$dir/slurm.conf" || true; started "slurmd-$n" "$dir/state/slurmd-$n.pid"
done
for ((k = 0; k < 200; k++)); do
  [ "$(on "$ctld" sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" = "$nodes" ] &&
    { echo "slurm is up: ${names[*]}"; exit 0; }
  sleep 0.1
done
echo "slurm did not come up in 20 s" >&2; on "$ctld" sinfo -N -l >&2 || true
tail -n 5 "$dir"/log/*.log >&2; exit 1
