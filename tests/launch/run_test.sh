#!/usr/bin/env bash
# launch/run: the mpirun line it makes, and its errors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

threads_a_core=$(lscpu | awk -F: '/^Thread\(s\) per core/ {print $2 + 0}')
cores=$(($(nproc) / (threads_a_core > 0 ? threads_a_core : 1)))
expect 0 "-np 1 --map-by slot:PE=$cores --bind-to core" "$repository/launch/run" -n 1 --dry-run train
expect 0 "--map-by :OVERSUBSCRIBE --bind-to none" "$repository/launch/run" -n $((cores + 1)) --dry-run train
expect 0 "hyperx train --threads 1 --config a.conf" "$repository/launch/run" -n $((cores + 1)) --dry-run train --config a.conf
expect 0 "--map-by :OVERSUBSCRIBE" "$repository/launch/run" -n 1 -t $((cores + 1)) --dry-run train
expect 64 "'two' is not a number" "$repository/launch/run" -n two train
expect 64 "no hyperx command given" "$repository/launch/run" -n 2
expect 64 "-n needs a value" "$repository/launch/run" -n
expect 64 "'predict' is not for several processes" "$repository/launch/run" -n 2 predict runs/first
expect 64 "unknown argument '--nope'" "$repository/launch/run" --nope train
expect 66 "hosts.txt: no such file" "$repository/launch/run" --hostfile "$scratch/hosts.txt" train
printf '# two machines\nnode1 slots=1\nnode2 slots=1\n' >"$scratch/hosts.txt"
expect 0 "-np 2 --hostfile $scratch/hosts.txt --map-by slot:PE=$cores" \
  "$repository/launch/run" -n 2 --hostfile "$scratch/hosts.txt" --dry-run train
expect 0 "bin/hyperx-bench --threads 9 step" "$repository/launch/run" -n 2 -t 9 --dry-run bench step
HYPERX_BUILD=$scratch/none expect 66 "is not built" "$repository/launch/run" -n 1 train

# What it starts really runs on so many ranks: a stand-in for the program says which it is.
mkdir -p "$scratch/bin"
printf '#!/bin/sh\necho "rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE: $*"\nexit 65\n' >"$scratch/bin/hyperx"
chmod +x "$scratch/bin/hyperx"
HYPERX_BUILD=$scratch expect 65 "rank 1 of 2: train --steps 1" "$repository/launch/run" -n 2 -t 1 train --steps 1

# SIGTERM to launch/run, and Ctrl-C to all that its terminal runs, reach the ranks as one SIGUSR1; they take their time, and their
# code comes back.
printf '#!/bin/bash\ntrap "sleep 2; echo saved; exit 75" USR1\necho ready\nfor i in $(seq 200); do sleep 0.1; done\n' >"$scratch/bin/hyperx"
stop_by() {  # stop_by SIGNAL: to the whole process group, as a terminal does
  local code=0 launched
  HYPERX_BUILD=$scratch setsid env --default-signal=INT "$repository/launch/run" -n 2 -t 1 train >"$scratch/signal" 2>&1 &
  launched=$!
  for _ in $(seq 100); do [ "$(grep -c ready "$scratch/signal")" = 2 ] || sleep 0.1; done
  kill "-$1" -- "-$launched"
  wait $launched || code=$?
  holds "exit code 75 after SIG$1, not $code" test $code = 75
  holds "both ranks saved after SIG$1" test "$(grep -c saved "$scratch/signal")" = 2
}
stop_by TERM
stop_by INT
stop_by HUP

# Its output goes into a pipe whose reader ends with the same Ctrl-C.
for _ in 1 2; do
  code=0
  HYPERX_BUILD=$scratch setsid env --default-signal=INT,PIPE bash -c \
    '"$1" -n 2 -t 1 train 2>&1 | tee "$2" >/dev/null; exit "${PIPESTATUS[0]}"' - "$repository/launch/run" "$scratch/tee" &
  launched=$!
  for _ in $(seq 100); do [ "$(grep -c ready "$scratch/tee" 2>/dev/null)" = 2 ] || sleep 0.1; done
  kill -INT -- "-$launched"
  wait $launched || code=$?
  holds "exit code 75 after Ctrl-C with tee, not $code" test $code = 75
  rm "$scratch/tee"
done

# Signals come while launch/run, mpirun or the ranks are only starting; and launch/run itself is killed.
printf '#!/bin/bash\ntrap "echo saved >>%s; exit 75" USR1\nsleep 0.3\nfor i in $(seq 200); do sleep 0.1; done\n' "$scratch/early" >"$scratch/bin/hyperx"
for delay in 0.015 0.02 0.025 0.03 0.04 0.2; do
  code=0
  HYPERX_BUILD=$scratch "$repository/launch/run" -n 2 -t 1 train >"$scratch/output" 2>&1 &
  launched=$!
  sleep $delay
  kill -USR1 $launched
  wait $launched || code=$?
  holds "exit code 75 after SIGUSR1 at $delay s, not $code" test $code = 75
done
rm -f "$scratch/early"
HYPERX_BUILD=$scratch "$repository/launch/run" -n 2 -t 1 train >"$scratch/output" 2>&1 &
launched=$!
for _ in $(seq 100); do [ "$(pgrep -c -f "^/bin/bash $scratch/bin/hyperx")" -ge 2 ] || sleep 0.1; done
sleep 0.3
kill -KILL $launched
wait $launched 2>/dev/null || true
for _ in $(seq 100); do [ "$(grep -c saved "$scratch/early" 2>/dev/null)" = 2 ] || sleep 0.1; done
holds "the ranks of a killed launch/run saved" test "$(grep -c saved "$scratch/early")" = 2
finish
