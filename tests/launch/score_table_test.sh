#!/usr/bin/env bash
# launch/score_table.py: its entity F1 against seqeval, its baselines on counted-out files.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

mkdir -p "$scratch/test"
printf 'task\tlanguage\tsplit\tformat\tpath\toptions\n' >"$scratch/manifest.tsv"
printf 'pos\tend\ttrain\tconllu\ta\t\npos\tend\ttest\tconllu\tb\t\npos\tnew\ttrain\tconllu\tb\t\npos\tnew\ttest\tconllu\tb\t\n' >>"$scratch/manifest.tsv"
printf 'ner\tend\ttrain\ttagged\tc\tlabels=map\nner\tend\ttest\ttagged\td\tlabels=map\n' >>"$scratch/manifest.tsv"
word() { printf '%s\t%s\t_\t%s\t_\t_\t0\troot\t_\t_\n' "$1" "$2" "$3"; }
{ word 1 a NOUN; word 2 b NOUN; word 3-4 bc _; word 3 c VERB; echo; } >"$scratch/a"
{ word 1 a NOUN; word 2 c VERB; word 3 x NOUN; word 4 y VERB; echo; } >"$scratch/b"
printf 'B-GPE\tB-LOC\nO\tO\n' >"$scratch/map"
printf 'Oslo\tB-GPE\nis\tO\nbig\tO\n\n' >"$scratch/c"
printf 'Oslo\tB-GPE\nand\tO\nRome\tB-GPE\n\n' >"$scratch/d"
echo '{"metrics": {"accuracy": 0.875}, "trained": true}' >"$scratch/test/pos.end.json"
echo '{"metrics": {"accuracy": 0.875}, "trained": false}' >"$scratch/test/pos.new.json"
echo '{"metrics": {"f1": 0.5}, "trained": true}' >"$scratch/test/ner.end.json"
table=(python3 "$repository/launch/score_table.py" "$scratch/manifest.tsv" "$scratch/test")
expect 0 "pos:end  accuracy     87.5      50.0    75.0          1" "${table[@]}"
expect 0 "pos:new  accuracy     87.5      50.0    75.0          1" "${table[@]}"
expect 0 "ner:end  F1           50.0       0.0    66.7          1" "${table[@]}"
rm "$scratch/test/pos.new.json"
expect 1 "pos.new.json is missing" "${table[@]}"
[ "$failures" = 0 ] || exit 1

[ -x "${HYPERX_TEST_PYTHON:-}" ] || skip "HYPERX_TEST_PYTHON is not set: launch/setup --dev makes the environment with seqeval"
"$HYPERX_TEST_PYTHON" - "$repository/launch" <<'PYTHON'
import random, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import score_table
from seqeval.metrics import f1_score
draw = random.Random(7)
tags = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG"]
for _ in range(300):
    lengths = [draw.randint(1, 12) for _ in range(draw.randint(1, 5))]
    gold, guess = ([[draw.choice(tags) for _ in range(n)] for n in lengths] for _ in range(2))
    ours, theirs = score_table.score("ner", gold, guess), 100 * f1_score(gold, guess, zero_division=0)
    assert abs(ours - theirs) < 1e-9, (gold, guess, ours, theirs)
PYTHON
finish
