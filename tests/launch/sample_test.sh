#!/usr/bin/env bash
# The shipped sample: its size, its languages, and that cut.py writes the same bytes from the full data.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

sample=$repository/examples/sample
bytes=$(du -sb --apparent-size "$sample" | cut -f1)
holds "at most 6 MB, it has $bytes bytes" test "$bytes" -le 6000000
languages=$(awk -F'\t' '!/^#/ && $1 != "task" {print $2}' "$sample/manifest.tsv" | sort -u | wc -l)
holds "at least 6 languages, it has $languages" test "$languages" -ge 6
while IFS=$'\t' read -r task _ _ _ path options; do
  holds "$path of the manifest is there" test -s "$sample/$path"
  holds "$path: a licence is named" grep -q 'licence=CC' <<<"$options"
  stem=${path#data/}
  [ "$task" = mlm ] || holds "$stem stands in SOURCES.md" grep -qF "\`${stem%.*}\`" "$sample/SOURCES.md"
done < <(grep -v '^#' "$sample/manifest.tsv" | tail -n +2)
[ "$failures" = 0 ] || exit 1

[ -n "${HYPERX_TEST_DATA:-}" ] || skip "HYPERX_TEST_DATA is not set: the sample cannot be cut from the full data again"
python3 "$sample/cut.py" "$HYPERX_TEST_DATA" "$scratch/cut"
holds "cut.py writes the files that are shipped" diff -rq "$scratch/cut" "$sample/data"
finish
