#!/usr/bin/env bash
# Sourced by the tests of this folder: a real SLURM and a small project whose runs it trains.
source "$(dirname "${BASH_SOURCE[0]}")/../launch/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
lab=$repository/tests/lab

require_lab() {  # skips the test where there is no SLURM
  local tool
  [ -x "$hyperx" ] || skip "$hyperx is not built"
  [ "$(id -u)" = 0 ] || skip "the SLURM of tests/lab needs root"
  for tool in slurmctld slurmd srun munged; do command -v $tool >/dev/null || skip "there is no $tool: launch/setup --dev installs it"; done
  chmod 755 "$scratch"  # munge wants its way open
}

start_lab() {  # start_lab NODES GPUS
  require_lab
  export SLURM_PORT=${SLURM_PORT:-$((20000 + RANDOM % 10000))}
  if ! "$lab/start-slurm.sh" "$scratch/slurm" "$@" >"$scratch/output" 2>&1; then
    cat "$scratch/output"
    exit 1
  fi
  trap '"$lab/stop-slurm.sh" "$scratch/slurm" >/dev/null 2>&1; rm -rf "$scratch"' EXIT
  source "$scratch/slurm/env.sh"
}

# Hosts with names and networks of their own: head runs slurmctld, nodeA and nodeB are its nodes.
start_hosts() {
  require_lab
  for tool in ip nsenter sshd; do command -v $tool >/dev/null || [ -x "/usr/sbin/$tool" ] || skip "there is no $tool: launch/setup --dev installs it"; done
  export LAB_DIR=$scratch/hosts SLURM_PORT=$((20000 + RANDOM % 10000))
  export LABNET=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))
  trap '"$lab/stop-slurm.sh" "$scratch/slurm" >/dev/null 2>&1; "$lab/labnet.sh" down "$LAB_DIR" >/dev/null 2>&1; rm -rf "$scratch"' EXIT
  "$lab/labnet.sh" up "$LAB_DIR" head nodeA nodeB >"$scratch/output" 2>&1 || skip "no network hosts on this machine: $(tail -1 "$scratch/output")"
  if ! "$lab/start-slurm.sh" "$scratch/slurm" >"$scratch/output" 2>&1; then
    cat "$scratch/output"
    exit 1
  fi
  source "$scratch/slurm/env.sh"
}
on() { "$lab/labnet.sh" exec "$LAB_DIR" "$@"; }  # on HOST COMMAND...
# The commands of SLURM, from the head.
scontrol() { if [ -n "${LAB_DIR:-}" ]; then on head scontrol "$@"; else command scontrol "$@"; fi; }
scancel() { if [ -n "${LAB_DIR:-}" ]; then on head scancel "$@"; else command scancel "$@"; fi; }

write_settings() {
  cat >"$scratch/my.conf" <<END
data.corpus = $scratch/corpus
model.encoder = random:$scratch/encoder
train.pairs = pos:en,ner:en
train.steps = 400
train.precision = fp32
hyperx.adapter_dim = 8
hyperx.projected_dim = 8
eval.every = 0
checkpoint.every = 100
threads = 1
END
}

# A corpus, an encoder of two layers, the settings of a training, and a site.conf for them.
make_project() {
  mkdir "$scratch/encoder"
  cp "$repository"/examples/encoder/* "$scratch/encoder"
  sed -i -e 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 2/' "$scratch/encoder/config.json"
  "$hyperx" prepare "$repository/examples/sample/manifest.tsv" --data.corpus "$scratch/corpus" --model.encoder "$scratch/encoder" \
    >"$scratch/output" 2>&1
  write_settings
  cp "$repository/cluster/site.conf" "$scratch/site.conf"
  printf 'program=%s\nranks_per_node=2\ngrace_seconds=30\n' "$hyperx" >>"$scratch/site.conf"
  export HYPERX_SITE=$scratch/site.conf
}

# submit_training RUN [OPTION OF SUBMIT...] [HYPERX OPTION...]: prints the jobs.
submit_training() {
  local run=$1 own=() given=()
  shift
  while [ $# -gt 0 ]; do
    case $1 in --chain | --time | --nodes | --ranks-per-node | --dependency) own+=("$1" "$2") ;; *) given+=("$1" "$2") ;; esac
    shift 2
  done
  ${LAB_DIR:+"$lab/labnet.sh" exec "$LAB_DIR" head} "$repository/cluster/submit" "$scratch/my.conf" --parsable "${own[@]}" -- --run.dir "$scratch/$run" "${given[@]}"
}

log_of() { echo "$scratch/$1/slurm/$2.log"; }  # log_of RUN JOB

field() { scontrol show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -1; }  # field JOB NAME

wait_for() {  # wait_for SECONDS WHAT COMMAND...
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    if [ $SECONDS -ge $end ]; then
      echo "FAILED: $what did not happen within $seconds s"
      squeue
      tail -n 20 "$scratch"/*/slurm/*.log
      exit 1
    fi
    sleep 0.2
  done
}
test_field() { [ "$(field "$1" "$2")" = "$3" ]; }  # test_field JOB NAME VALUE
has_ended() { [ -n "$(field "$1" JobState)" ] && [[ ! $(field "$1" JobState) =~ ^(PENDING|RUNNING|COMPLETING|REQUEUED|SUSPENDED|CONFIGURING)$ ]]; }
wait_for_end() { wait_for 180 "the end of job $1" has_ended "$1"; }
has_step() { [ "$(grep -c '"event":"step"' "$scratch/$1/metrics.jsonl" 2>/dev/null || true)" -gt "$2" ] 2>/dev/null; }
wait_for_step() { wait_for 90 "step $2 of $1" has_step "$1" "$2"; }

# A training of some seconds is held while SLURM, which may take as long, is asked to end it.
ranks_of() { pgrep -f "^$hyperx train .*$scratch/$1 " || true; }  # ranks_of RUN
send_ranks() {  # send_ranks RUN SIGNAL
  local ranks
  mapfile -t ranks < <(ranks_of "$1")
  [ ${#ranks[@]} -gt 0 ] || { echo "FAILED: $1 ended before SIG$2 was sent to its ranks"; exit 1; }
  kill "-$2" "${ranks[@]}"
}
kill_rank() { kill -KILL "$(ranks_of "$1" | tail -1)"; }  # kill_rank RUN: one of several
hold() { send_ranks "$1" STOP; }      # SIGTERM of SLURM comes with a SIGCONT
release() { send_ranks "$1" CONT; }
holds_signal() {  # holds_signal RUN SIGNAL: it waits in each held rank
  local rank mask
  for rank in $(ranks_of "$1"); do
    mask=$(sed -n 's/^ShdPnd:[[:space:]]*/0x/p' "/proc/$rank/status")
    [ $((mask >> ($(kill -l "$2") - 1) & 1)) = 1 ] || return 1
  done
}
have_ended() { [ -z "$(ranks_of "$1")" ]; }
asked() { eval "$1" || { "${@:2}"; sleep 5; eval "$1"; }; }  # asked TEST COMMAND...
insist() { wait_for 60 "'$1' after '${*:2}'" asked "$@"; }   # the same, again and again: a busy SLURM may lose a request

ended_as() {  # ended_as JOB STATE CODE
  local found
  found="$(field "$1" JobState) $(field "$1" ExitCode)"
  [ "$found" = "$2 $3" ] || { echo "  job $1 is $found"; tail -n 8 "$scratch"/*/slurm/"$1".log; return 1; }
}
ends_well() {  # ends_well JOB
  wait_for_end "$1"
  holds "job $1 is COMPLETED with 0" ended_as "$1" COMPLETED 0:0
}
same_bits() {  # same_bits RUN RUN [STEP]: their last checkpoints
  local file step=step-0000${3:-400}
  for file in model.h5 optimizer.h5; do cmp "$scratch/$1/checkpoints/$step/$file" "$scratch/$2/checkpoints/$step/$file" || return 1; done
}
