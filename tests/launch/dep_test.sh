#!/usr/bin/env bash
# Dependency trees from two treebanks to files that the official scorer reads: multiword tokens and empty nodes stay as they are.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
[ -x "$hyperx" ] || skip "$hyperx is not built"
python=${HYPERX_TEST_PYTHON:-$test_venv/bin/python}
"$python" -c 'import udtools' 2>/dev/null || skip "no Python environment with udtools: launch/setup --dev makes it"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cd "$scratch"
data=$repository/examples/sample/data
# An empty node behind the first word of the gold file's second sentence.
awk -F'\t' -v OFS='\t' 'NR > 400 && /^$/ { exit } { print } $1 == "1" && ++sentences == 2 { print "1.1", "of", "of", "ADP", "_", "_", "_", "_", "1:case", "_" }' \
  "$data/pos.en.test.conllu" >gold.conllu
printf '\n' >>gold.conllu
printf 'task\tlanguage\tsplit\tformat\tpath\toptions\ndep\ten\ttrain\tconllu\t%s\tlimit=400\ndep\tmt\ttrain\tconllu\t%s\tlimit=200\n' \
  "$data/pos.en.train.conllu" "$data/pos.mt.train.conllu" >manifest.tsv
expect 0 "dep:en" "$hyperx" prepare manifest.tsv --data.corpus corpus --model.encoder "$repository/examples/encoder"
expect 0 "step 8/8" "$hyperx" train --data.corpus corpus --model.encoder "random:$repository/examples/encoder" --train.pairs 'dep:*' \
  --train.steps 8 --train.warmup_steps 1 --train.batch_sentences 8 --hyperx.adapter_dim 16 --hyperx.projected_dim 8 --eval.every 0 \
  --run.dir run
holds "predict" "$hyperx" predict run --task dep --language en gold.conllu --output predicted.conllu
# Every byte but those of HEAD and DEPREL is kept.
cut_columns() { awk -F'\t' -v OFS='\t' 'NF == 10 && $1 ~ /^[0-9]+$/ { $7 = $8 = "x" } { print }' "$1"; }
cut_columns gold.conllu >gold.rest
cut_columns predicted.conllu >predicted.rest
holds "the other columns are kept" cmp gold.rest predicted.rest
"$hyperx" score gold.conllu predicted.conllu --task dep --json >ours.json
cat >compare.py <<'PYTHON'
import json
import sys

from udtools.udeval import evaluate, load_conllu_file

gold, system = load_conllu_file(sys.argv[1]), load_conllu_file(sys.argv[2])
scores, ours = evaluate(gold, system), json.load(open(sys.argv[3]))
for name, key in (("UAS", "uas"), ("LAS", "las")):
    print(name, scores[name].f1, ours[key])
    assert abs(scores[name].f1 - ours[key]) < 1e-9
assert scores["Words"].f1 == 1
PYTHON
holds "the official scorer agrees" "$python" compare.py gold.conllu predicted.conllu ours.json
finish
