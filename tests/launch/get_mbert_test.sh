#!/usr/bin/env bash
# launch/get-mbert: what it checks and says. Files come from a folder in place of the network.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

get="$repository/launch/get-mbert"
command -v curl >/dev/null || skip "curl is not installed"
expect 64 "unknown argument '--nope'" "$get" --nope
expect 64 "one folder at most" "$get" a b

mirror=$scratch/mirror
mkdir -p "$mirror"
export HYPERX_MBERT_URL=file://$mirror
expect 69 "cannot fetch file://$mirror/config.json" "$get" "$scratch/model"
holds "nothing half is left under its final name" test ! -e "$scratch/model/config.json"

cp "$repository/examples/encoder/vocab.txt" "$repository/examples/encoder/tokenizer_config.json" "$mirror/"
echo '{"num_hidden_layers": 12, "hidden_size": 768, "vocab_size": 119547}' >"$mirror/config.json"
# A file of the right layout whose tensors are holes: nothing of its 376 MB is on the disk.
python3 - "$scratch/weights" <<'PYTHON'
import json, struct, sys
shapes = {"bert.embeddings.word_embeddings.weight": [119547, 768], "bert.encoder.layer.11.output.dense.weight": [768, 3072]}
header, end = {}, 0
for name, (rows, columns) in shapes.items():
    header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [end, end + 4 * rows * columns]}
    end += 4 * rows * columns
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    file.truncate(8 + len(text) + end)
PYTHON
echo "not weights" >"$mirror/model.safetensors"
expect 65 "is not a safetensors file" "$get" "$scratch/model"
rm "$scratch/model/model.safetensors"
mv "$scratch/weights" "$scratch/model/model.safetensors"
expect 0 "is whole in $scratch/model" "$get" "$scratch/model"
expect 0 "is whole in $scratch/model" "$get" --check "$scratch/model"

truncate -s -4 "$scratch/model/model.safetensors"
expect 65 "its header asks for" "$get" --check "$scratch/model"
truncate -s +4 "$scratch/model/model.safetensors"
echo '{"num_hidden_layers": 6, "hidden_size": 768, "vocab_size": 119547}' >"$scratch/model/config.json"
expect 65 "not [12, 768, 119547]" "$get" --check "$scratch/model"
echo '[' >"$scratch/model/config.json"
expect 65 "config.json is not JSON" "$get" --check "$scratch/model"
cp "$mirror/config.json" "$scratch/model/"
echo extra >>"$scratch/model/vocab.txt"
expect 65 "is not the vocabulary of bert-base-multilingual-cased" "$get" --check "$scratch/model"
finish
