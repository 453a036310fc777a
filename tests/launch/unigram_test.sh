#!/usr/bin/env bash
# The Unigram tokenizer against PyPI's `tokenizers` on every line and every different word of the data set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

hyperx=${HYPERX_BUILD:-$repository/build/release}/bin/hyperx
[ -x "$hyperx" ] || skip "$hyperx is not built"
[ -n "${HYPERX_TEST_DATA:-}" ] || skip "HYPERX_TEST_DATA is not set: the folder with the files of configs/data/seventeen_languages.tsv"
[ -f "$encoder_folder/tokenizer.json" ] || skip "the encoder is not in $encoder_folder: launch/setup fetches it"
python=${HYPERX_TEST_PYTHON:-$test_venv/bin/python}
[ -x "$python" ] || skip "no Python environment for tests: launch/setup --dev makes it"
expect 0 " 0 wrong" "$python" "$repository/tests/tools/unigram_oracle.py" "$hyperx" "$encoder_folder" "$HYPERX_TEST_DATA"
cat "$scratch/output"
finish
