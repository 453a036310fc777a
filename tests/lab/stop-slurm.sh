#!/usr/bin/env bash
# stop-slurm.sh DIR: ends what start-slurm.sh started, by PID, and nothing else. Jobs end first, or their processes would stay behind.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
dir=$(realpath -m "${1:?usage: $0 DIR}"); lab=${LAB_DIR:-}
[ -e "$dir/pids" ] || { echo "nothing to stop in $dir"; exit 0; }
. "$dir/env.sh"
ctld=; if [ -n "$lab" ]; then ctld=$(head -n 1 "$lab/names"); fi
on() { if [ -n "$lab" ]; then "${LABNET_SH:-$here/labnet.sh}" exec "$lab" "$ctld" "$@"; else "$@"; fi; }
on timeout 5 scancel -u "$(id -un)" 2>/dev/null || true  # slurmctld may be down
for ((k = 0; k < 80; k++)); do [ -z "$(on timeout 5 squeue -h 2>/dev/null || true)" ] && break; sleep 0.1; done
alive() { # PID NAME: is it still the daemon that we started?
  [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "${2%%-*}" ]
}
stop() { # SIGNAL NAME...
  local s=$1 name pid; shift
  while read -r name pid; do
    for w; do if [[ $name == $w* ]] && alive "$pid" "$name"; then kill "-$s" "$pid" || true; fi; done
  done < "$dir/pids"
}
left() {
  local n=0 name pid
  while read -r name pid; do if alive "$pid" "$name"; then n=$((n + 1)); fi; done < "$dir/pids"
  echo $n
}
stop TERM slurmd; stop TERM slurmctld
for ((k = 0; k < 100; k++)); do [ "$(left)" -le 1 ] && break; sleep 0.1; done
stop TERM munged
for ((k = 0; k < 50; k++)); do [ "$(left)" = 0 ] && break; sleep 0.1; done
[ "$(left)" = 0 ] || { stop KILL slurm munged; sleep 0.2; }
[ "$(left)" = 0 ] || { echo "stop-slurm.sh: $(left) daemons are still running; $dir/pids lists them" >&2; exit 1; }
rm -f "$dir/pids"
echo "slurm is stopped"
