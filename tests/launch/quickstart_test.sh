#!/usr/bin/env bash
# launch/quickstart with a few steps: every part runs, the table has every pair, a second run repeats nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

[ -f "$encoder_files/e5-small-q4.bin" ] || skip "the encoder is not in $encoder_files: launch/setup fetches it"
export HYPERX_BUILD=${HYPERX_BUILD:-$repository/build/release}
[ -x "$HYPERX_BUILD/bin/hyperx" ] || skip "$HYPERX_BUILD/bin/hyperx is not built"

expect 64 "'few' is not a number of ranks or steps" "$repository/launch/quickstart" --steps few
quick=("$repository/launch/quickstart" --no-apt --steps 15 --run "$scratch/quick")
expect 0 "[UNK]" "${quick[@]}"
for language in English Maltese Turkish Icelandic Kazakh Tagalog 'Mandarin Chinese'; do
  holds "the table has $language" grep -qE "^  $language \\([a-z]+\\)°? +[0-9]+ +[0-9.]+ +[0-9.]+" "$scratch/output"
done
holds "the table has means" grep -qE '^mean, never trained \(n = [34]\) ' "$scratch/output"
holds "a sentence is tagged" grep -qE $'^Алматы\t[A-Z]+' "$scratch/output"
holds "15 steps are on record" test "$(grep -c '"event":"step"' "$scratch/quick/run/metrics.jsonl")" = 15
model=$(sha256sum <"$scratch/quick/run/checkpoints/step-0000015/model.h5")
expect 0 "scores on the test files" "${quick[@]}"
holds "the second run has left the model alone" test "$model" = "$(sha256sum <"$scratch/quick/run/checkpoints/step-0000015/model.h5")"
finish
