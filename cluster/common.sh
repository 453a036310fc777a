#!/usr/bin/env bash
# Sourced by the scripts of this folder: the site's settings, how ranks are started, and what happens when they end.
cluster=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/common.sh
source "$cluster/../launch/common.sh"

say() { echo "$(date -u +%H:%M:%S) ${script:-$(basename "$0")}: $*"; }  # with the time, as in the log of a training

# shellcheck disable=SC2034 # settings that only some of the scripts use
load_site() {
  local file=${HYPERX_SITE:-$cluster/site.conf}
  partition='' account='' qos='' gres='' options=() nodes=1 ranks_per_node=1 cpus_per_rank='' time='' modules=() setup=''
  program='' container='' container_options=() speed=() launcher=srun mpi=pmix requeue=yes arrays=yes max_submit='' grace_seconds=300
  restarts=2 tries=6
  [ -f "$file" ] || die 66 "$file: no such file; HYPERX_SITE names another"
  bash -n "$file" || die 78 "$file: bash cannot read it (its message is above)"
  # shellcheck source=/dev/null
  source "$file"
  [[ $launcher =~ ^(srun|mpirun)$ ]] || die 78 "$file: launcher=$launcher: it is srun or mpirun"
  local name
  for name in requeue arrays; do [[ ${!name} =~ ^(yes|no)$ ]] || die 78 "$file: $name=${!name}: it is yes or no"; done
  for name in nodes ranks_per_node grace_seconds restarts tries; do
    [[ ${!name} =~ ^[0-9]+$ ]] || die 78 "$file: $name=${!name}: it is a whole number"
  done
  for name in cpus_per_rank max_submit; do
    [[ ${!name} =~ ^[1-9][0-9]*$|^$ ]] || die 78 "$file: $name=${!name}: it is a whole number above 0, or empty"
  done
  set +u  # module files and set-up scripts of sites use variables that are not set
  if [ -n "$setup" ]; then eval "$setup" || die 78 "$file: setup: '$setup' failed"; fi
  if [ ${#modules[@]} -gt 0 ]; then
    type module >/dev/null 2>&1 || die 78 "$file: modules=(${modules[*]}), but there is no command 'module' here; setup= may load it"
    module load "${modules[@]}" || die 78 "$file: module load ${modules[*]} failed"
  fi
  set -u
  if [ -n "$container" ]; then
    [ -f "$container" ] || die 66 "$file: container=$container: no such file"
    command -v apptainer >/dev/null || die 69 "$file: container= is set, but there is no apptainer here; modules= may load it"
    hyperx=(apptainer exec "${container_options[@]}" "$container" "${program:-/opt/hyperx/bin/hyperx}")
  else
    program=${program:-${HYPERX_BUILD:-$repository/build/release}/bin/hyperx}
    [ -x "$program" ] || die 66 "$program: no such program; program= in $file names another"
    hyperx=("$program")
  fi
}

# start COMMAND ARGUMENT...: hyperx on all ranks of the allocation. Returns its exit code.
start() {
  local code=0
  if [ "$launcher" = srun ]; then
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    srun --mpi="$mpi" --kill-on-bad-exit=1 "${hyperx[@]}" "$@" &
  elif [ "$1" = sweep ]; then  # which starts launch/run itself
    "${hyperx[@]}" "$@" --ranks "${SLURM_NTASKS:-1}" &
  else
    HYPERX_BUILD=$(dirname "$(dirname "$program")") "$repository/launch/run" -n "${SLURM_NTASKS:-1}" ${SLURM_CPUS_PER_TASK:+-t "$SLURM_CPUS_PER_TASK"} "$@" &
  fi
  running=$!
  while true; do  # a trapped signal ends `wait` early
    code=0
    wait $running || code=$?
    if ! kill -0 $running 2>/dev/null; then
      [ $code -le 128 ] || wait $running || code=$?  # it may have ended while a signal was being handled
      break
    fi
  done
  running=
  return $code
}

# The batch script gets SIGTERM when the job is cancelled, preempted or out of time: SLURM ends the ranks, too, and nothing must
# be started after it. With mpirun the script passes on what srun's ranks get from SLURM.
ending=no running=
on_signal() {
  [ "$1" != TERM ] || ending=yes
  [ "$launcher" = srun ] || [ -z "$running" ] || kill -USR1 "$running" 2>/dev/null || true
}
trap 'on_signal TERM' TERM
trap 'on_signal USR1' USR1

# The run of RUN/checkpoints/step-N; other folders as they are.
run_of() {
  if [[ $(basename "$1") == step-* ]]; then dirname "$(dirname "$1")"; else echo "$1"; fi
}

# What an exit code means for the next start: done, again, or never (it would fail in the same way).
fate() {
  case $1 in
    0) echo 'done' ;;
    64 | 65 | 66 | 69 | 73 | 77 | 78 | 126 | 127) echo never ;;
    *) echo again ;;
  esac
}

# Seconds until the time limit; a year where there is none.
seconds_left() {
  local text days=0 parts
  text=$(squeue -h -j "$SLURM_JOB_ID" -o %L 2>/dev/null | head -1) || true
  [[ $text =~ ^[0-9:-]+$ ]] || { echo 31536000; return; }
  if [[ $text == *-* ]]; then days=${text%%-*} text=${text#*-}; fi
  IFS=: read -ra parts <<<"0:0:$text"
  echo $((10#$days * 86400 + 10#${parts[-3]} * 3600 + 10#${parts[-2]} * 60 + 10#${parts[-1]}))
}

# With a grace time (GraceTime of a partition) a preempted job runs on for a while: its ranks have had SIGTERM, this script has not.
is_preempted() { [[ $(squeue -h -j "$SLURM_JOB_ID" -O PreemptTime 2>/dev/null) =~ [0-9] ]]; }

# The step of the newest checkpoint of a run.
saved_step() { sed -n 's/^ "checkpoint": "step-0*\([0-9]\+\)",\?$/\1/p' "$1/state.json" 2>/dev/null | head -1; }

is_finished() { grep -q '^ "state": "finished",\?$' "$1/state.json" 2>/dev/null; }

# Counts failures in a row without a new checkpoint, over all jobs of a run: FOLDER/failures holds "COUNT STEP".
count_failure() {  # count_failure RUN FOLDER: sets failures
  local before step
  step=$(saved_step "$1")
  step=${step:-0} failures=0 before=-1
  ! read -r failures before <"$2/failures" || true
  [ "$step" -le "$before" ] || failures=0
  failures=$((failures + 1))
  echo "$failures $step" >"$2/failures"
} 2>/dev/null

# No job of this run starts training again: for chains of jobs that are waiting.
end_chain() {  # end_chain FOLDER CODE
  echo "$2" >"$1/ended"
  local job
  while read -r job; do
    [ "$job" -le "$SLURM_JOB_ID" ] || scancel "$job" 2>/dev/null || true
  done < <(cat "$1/chain" 2>/dev/null)
}

# until_done RUN FOLDER COMMAND ARGUMENT...: starts it again, here or in the queue, until it is done or cannot be. FOLDER keeps
# what the jobs of a run must know of each other. Returns the exit code of the last start.
until_done() {
  local run=$1 folder=$2 code starts=0 left
  shift 2
  mkdir -p "$folder"
  if [ -f "$folder/ended" ]; then
    code=$(cat "$folder/ended")
    say "an earlier job of this chain has ended it with code $code: nothing is started"
    return "$code"
  fi
  while true; do
    code=0
    start "$@" || code=$?
    # srun ends with 0 also where it could not start the ranks on a node.
    if [ $code = 0 ] && [[ $* != *evaluate* ]] && ! is_finished "$run"; then
      say "the ranks ended with 0, but $run is not finished"
      code=74
    fi
    case $(fate $code) in
      'done') return 0 ;;
      never)
        say "exit code $code: a new start would fail in the same way; see the lines above"
        end_chain "$folder" $code
        return $code
        ;;
    esac
    left=$(seconds_left)
    if [ $code != 75 ]; then
      count_failure "$run" "$folder"
      if [ "$failures" -ge "$tries" ]; then
        say "exit code $code: $failures failures in a row without a new checkpoint; this job gives up (tries=$tries in site.conf)"
        end_chain "$folder" $code
        return $code
      fi
    fi
    # Cancelled or preempted: SLURM decides whether the job is queued again. Out of time, or preempted with a grace time: we do.
    [ $ending = no ] || [ "$left" -lt 60 ] || { say "exit code $code: this job is being ended"; return $code; }
    if [ $ending = no ] && [ $starts -lt "$restarts" ] && [ "$left" -gt $((2 * grace_seconds)) ] && ! is_preempted; then
      starts=$((starts + 1))
      say "exit code $code: starting again in this allocation ($starts of $restarts)"
      sleep 1
      continue
    fi
    if [ "$requeue" = yes ] && [ -z "${HYPERX_CHAIN:-}" ]; then
      say "exit code $code: back into the queue"
      scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" || say "scontrol requeue failed"
    fi
    return $code
  done
}
