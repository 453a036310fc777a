#!/usr/bin/env bash
# launch/get-encoder: what it fetches, checks, writes and says. Small made-up encoders on a local server in place of the hub.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

command -v curl >/dev/null || skip "curl is not installed"
export no_proxy=127.0.0.1
unset HYPERX_PREFIX HYPERX_HUB
export XDG_CACHE_HOME=$scratch/cache

# A copy of the script whose table has the sizes of the made-up encoders.
copy=$scratch/copy
mkdir -p "$copy/configs"
cp -r "$repository/launch" "$copy/"
cp -r "$repository/configs/languages" "$copy/configs/"
get=$copy/launch/get-encoder
awk -F'\t' -v OFS='\t' '!/^#/ { $6 = 2; $7 = 8; $8 = $1 == "mbert" ? 119547 : 30; if ($1 == "glot500") $8 = "-" } { print }' \
  "$repository/launch/encoders.tsv" >"$copy/launch/encoders.tsv"

# The encoders: hub/NAME/resolve/REVISION/FILE, with all tensors of two layers. glot500 has only the older kinds of file.
hub=$scratch/hub
python3 - "$hub" "$repository/examples/encoder" <<'PYTHON'
import collections, io, json, os, pickle, shutil, struct, sys, types, zipfile

hub, example = sys.argv[1:]


def shapes(config, prefix):
    h, f = config["hidden_size"], config["intermediate_size"]
    yield f"{prefix}embeddings.word_embeddings.weight", [config["vocab_size"], h]
    yield f"{prefix}embeddings.position_embeddings.weight", [config["max_position_embeddings"], h]
    yield f"{prefix}embeddings.token_type_embeddings.weight", [config["type_vocab_size"], h]
    yield f"{prefix}embeddings.LayerNorm.gamma", [h]
    yield f"{prefix}embeddings.LayerNorm.beta", [h]
    for layer in range(config["num_hidden_layers"]):
        at = f"{prefix}encoder.layer.{layer}."
        for part, rows, columns in (("attention.self.query", h, h), ("attention.self.key", h, h), ("attention.self.value", h, h),
                                    ("attention.output.dense", h, h), ("intermediate.dense", f, h), ("output.dense", h, f)):
            yield f"{at}{part}.weight", [rows, columns]
            yield f"{at}{part}.bias", [rows]
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            yield f"{at}{part}.weight", [h]
            yield f"{at}{part}.bias", [h]


def write_safetensors(path, tensors):
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        begin, count = end, 4
        for extent in shape:
            count *= extent
        end += count
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def write_pickle(path, tensors):  # as torch.save does, without torch
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*rest):
        raise NotImplementedError

    class FloatStorage:
        pass

    _rebuild_tensor_v2.__module__, FloatStorage.__module__ = "torch._utils", "torch"
    _rebuild_tensor_v2.__qualname__, FloatStorage.__qualname__ = "_rebuild_tensor_v2", "FloatStorage"
    utils._rebuild_tensor_v2, torch.FloatStorage, torch._utils = _rebuild_tensor_v2, FloatStorage, utils
    sys.modules.update({"torch": torch, "torch._utils": utils})

    class Storage:
        pass

    class Tensor:
        def __init__(self, shape):
            self.shape = shape

        def __reduce__(self):
            return _rebuild_tensor_v2, (Storage(), 0, tuple(self.shape), (1,), False, collections.OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", FloatStorage, "0", "cpu", 1) if isinstance(value, Storage) else None

    data = io.BytesIO()
    state = collections.OrderedDict((name, Tensor(shape)) for name, shape in tensors)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    Pickler(data, protocol=2).dump(state)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data.getvalue())


def encoder(name, revision, prefix, write, **config):
    folder = f"{hub}/{name}/resolve/{revision}"
    os.makedirs(folder)
    config = {"num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 30, "intermediate_size": 16, "num_attention_heads": 2,
              "max_position_embeddings": 12, "type_vocab_size": 1} | config
    json.dump(config, open(f"{folder}/config.json", "w"))
    file = "model.safetensors" if write is write_safetensors else "pytorch_model.bin"
    write(f"{folder}/{file}", [*shapes(config, prefix), ("lm_head.bias", [config["vocab_size"]])])
    return folder


def unigram(folder):
    vocabulary = [[f"piece{i}", -float(i)] for i in range(28)]
    json.dump({"model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary}}, open(f"{folder}/tokenizer.json", "w"))


folder = encoder("google-bert/bert-base-multilingual-cased", "3f076fdb1ab68d5b2880cb87a0886f315b8146f8", "bert.",
                 write_safetensors, vocab_size=119547, type_vocab_size=2)
for name in ("vocab.txt", "tokenizer_config.json"):
    shutil.copy(f"{example}/{name}", folder)
unigram(encoder("FacebookAI/xlm-roberta-base", "main", "roberta.", write_safetensors, model_type="xlm-roberta"))
unigram(encoder("FacebookAI/xlm-roberta-large", "main", "roberta.", write_safetensors, model_type="xlm-roberta"))
unigram(encoder("intfloat/multilingual-e5-small", "main", "", write_safetensors, type_vocab_size=2))
folder = encoder("cis-lmu/glot500-base", "main", "roberta.", write_pickle, vocab_size=40)
open(f"{folder}/sentencepiece.bpe.model", "wb").write(b"pieces")
PYTHON

# The server: byte ranges as the hub has them. A file FILE.stated holds the digest to state for FILE; FILE.breaks, after how many
# bytes to close the connection, once; FILE.refused makes it answer 403; the file whole switches ranges off. Each request becomes a
# line of the log.
python3 - "$hub" "$scratch" <<'PYTHON' &
import http.server, os, re, sys

hub, scratch = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = hub + self.path
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        with open(f"{scratch}/log", "a") as log:
            log.write(f"{self.path} {asked[1] if asked else 0}\n")
        if not os.path.isfile(path):
            return self.send_error(404)
        if os.path.exists(path + ".refused"):
            return self.send_error(403)
        data = open(path, "rb").read()
        begin = int(asked[1]) if asked and not os.path.exists(f"{scratch}/whole") else 0
        if begin and begin >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        if os.path.exists(path + ".stated"):
            self.send_header("X-Linked-ETag", f'"{open(path + ".stated").read().strip()}"')
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        end = len(data)
        if os.path.exists(path + ".breaks"):
            end = begin + int(open(path + ".breaks").read())
            os.remove(path + ".breaks")
        self.wfile.write(data[begin:end])
        self.close_connection = True

    def log_message(self, *rest):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(f"{scratch}/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(f"{scratch}/port.new", f"{scratch}/port")
server.serve_forever()
PYTHON
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do
  [ ! -f "$scratch/port" ] || break
  sleep 0.1
done
export HYPERX_HUB=http://127.0.0.1:$(cat "$scratch/port")
files_of() { echo "$hub/$1/resolve/main"; }
requests() { grep -c "$1" "$scratch/log" || true; }
says() { holds "it says: $1" grep -qF -- "$1" "$scratch/output"; }

# ---- usage -----------------------------------------------------------------------------------------------------------------

all="mbert xlm-roberta-base xlm-roberta-large multilingual-e5-small glot500"
expect 64 "unknown argument '--nope'" "$get" --nope
expect 64 "name an encoder: one of $all" "$get"
expect 64 "unknown encoder 'bert'; known: $all" "$get" bert
expect 64 "'c' is too much" "$get" mbert b c
expect 66 "no such folder" "$get" --check mbert "$scratch/none"
touch "$scratch/file"
expect 73 "cannot make the folder" "$get" mbert "$scratch/file/x"
expect 0 "Exit codes: 64 usage" "$get" --help
for name in $all; do
  says " $name "
done

# ---- one encoder of each family ---------------------------------------------------------------------------------------------

mbert=$scratch/cache/hyperx/bert-base-multilingual-cased
expect 0 "train with --model.encoder $mbert" "$get" mbert
says "licence of mbert: Apache-2.0"
says "about 715 MB"
holds "all files and nothing else" test "$(ls "$mbert" | paste -sd' ')" = \
  "config.json digests.sha256 languages.txt model.safetensors tokenizer_config.json vocab.txt"
holds "digests are as sha256sum reads them" bash -c "cd '$mbert' && sha256sum --check --status digests.sha256"
holds "a digest of each file" test "$(wc -l <"$mbert/digests.sha256")" = 4
holds "mBERT's languages" test "$(wc -l <"$mbert/languages.txt") $(head -1 "$mbert/languages.txt")" = "103 af"
holds "they are sorted" env LC_ALL=C sort --check "$mbert/languages.txt"
holds "yo, not sa" test "$(grep -xE 'sa|yo' "$mbert/languages.txt")" = yo

xlmr=$scratch/xlmr
expect 0 "train with --model.encoder $xlmr" "$get" xlm-roberta-base "$xlmr"
says "licence of xlm-roberta-base: MIT"
holds "XLM-R's languages: sa, not yo" test "$(wc -l <"$xlmr/languages.txt") $(grep -xE 'sa|yo' "$xlmr/languages.txt")" = "94 sa"
expect 0 "is complete" "$get" xlm-roberta-large "$scratch/large"
expect 0 "--model.encoder $scratch/e5 --model.encoder_layers 6" "$get" multilingual-e5-small "$scratch/e5"
holds "e5 has XLM-R's languages" cmp "$xlmr/languages.txt" "$scratch/e5/languages.txt"
expect 0 "train with --model.encoder $scratch/glot" "$get" glot500 "$scratch/glot"
says "the hub has no model.safetensors"
says "no languages.txt"
holds "pytorch_model.bin and sentencepiece.bpe.model are taken where there is nothing else" \
  test "$(ls "$scratch/glot" | paste -sd' ')" = "config.json digests.sha256 pytorch_model.bin sentencepiece.bpe.model"

# A second run and a check fetch nothing.
before=$(wc -l <"$scratch/log")
expect 0 "is complete" "$get" xlm-roberta-base "$xlmr"
expect 0 "is complete" "$get" --check glot500 "$scratch/glot"
holds "nothing was fetched again" test "$(wc -l <"$scratch/log")" = "$before"

# ---- interrupted downloads ---------------------------------------------------------------------------------------------------

weights=$(files_of FacebookAI/xlm-roberta-base)/model.safetensors
part=$scratch/part
echo 1000 >"$weights.breaks"
expect 69 "Run the same command again to continue" "$get" xlm-roberta-base "$part"
holds "no half file has the final name" test ! -e "$part/model.safetensors"
holds "the half is kept" test "$(stat -c %s "$part/model.safetensors.partial")" = 1000
expect 0 "is complete" "$get" xlm-roberta-base "$part"
holds "it was continued at byte 1000" grep -q 'xlm-roberta-base/.*/model.safetensors 1000$' "$scratch/log"
holds "the halves fit together" cmp "$weights" "$part/model.safetensors"

rm "$part/model.safetensors"  # all bytes are there, only the renaming is missing
cp "$weights" "$part/model.safetensors.partial"
before=$(requests 'xlm-roberta-base/.*/model.safetensors 0$')
expect 0 "is complete" "$get" xlm-roberta-base "$part"
holds "nothing was fetched twice" test "$(requests 'xlm-roberta-base/.*/model.safetensors 0$')" = "$before"

rm "$part/model.safetensors"  # more bytes than the hub's file has
cat "$weights" "$weights" >"$part/model.safetensors.partial"
expect 0 "is complete" "$get" xlm-roberta-base "$part"

rm "$part/model.safetensors"  # a server without ranges
head -c 1000 "$weights" >"$part/model.safetensors.partial"
touch "$scratch/whole"
expect 0 "is complete" "$get" xlm-roberta-base "$part"
rm "$scratch/whole"
holds "it was fetched from the start" cmp "$weights" "$part/model.safetensors"

# ---- digests -----------------------------------------------------------------------------------------------------------------

# A file that changed in the folder, without a change of its size.
printf x | dd of="$xlmr/model.safetensors" bs=1 seek=5000 conv=notrunc status=none
expect 65 "from the first fetch" "$get" xlm-roberta-base "$xlmr"
says "$xlmr/model.safetensors: its SHA-256 is"
expect 65 "from the first fetch" "$get" --check xlm-roberta-base "$xlmr"
rm "$xlmr/model.safetensors"
expect 0 "is complete" "$get" xlm-roberta-base "$xlmr"

# A file that changed on the hub: it is not taken into a folder that has the old one's digest.
cp "$weights" "$scratch/kept"
printf x | dd of="$weights" bs=1 seek=5000 conv=notrunc status=none
rm "$xlmr/model.safetensors"
expect 65 "The download is deleted" "$get" xlm-roberta-base "$xlmr"
says "for a newer version of the encoder, use a new folder"
holds "nothing of it is left" test -z "$(find "$xlmr" -name 'model.safetensors*')"
cp "$scratch/kept" "$weights"

# The digest that the hub states.
sha256sum <"$weights" | cut -d' ' -f1 >"$weights.stated"
expect 0 "is complete" "$get" xlm-roberta-base "$xlmr"
tr 0-9a-f 1-9a-f0 <"$weights.stated" >"$weights.wrong"
mv "$weights.wrong" "$weights.stated"
expect 65 "but the hub states $(cat "$weights.stated")" "$get" xlm-roberta-base "$scratch/stated"
holds "no file, no digest" test "$(ls "$scratch/stated" | paste -sd' ')" = "config.json tokenizer.json"
rm "$weights.stated"

# The digest that is known in advance.
vocabulary=$hub/google-bert/bert-base-multilingual-cased/resolve/3f076fdb1ab68d5b2880cb87a0886f315b8146f8/vocab.txt
sed -i 's/^Umberto$/Umbertx/' "$vocabulary"
expect 65 "but that of mbert is fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c" "$get" mbert "$scratch/words"
rm "$mbert/digests.sha256"
cp "$vocabulary" "$mbert/"
expect 65 "but that of mbert is fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c" "$get" --check mbert "$mbert"
holds "no digest of a wrong file is written" test ! -e "$mbert/digests.sha256"

# ---- sizes and shapes --------------------------------------------------------------------------------------------------------

# broken WHAT TEXT: --check of a copy of FOLDER's encoder that standard input (Python, with `config` and `folder`) has changed.
broken() {
  local name=$1 from=$2 text=$3
  rm -rf "$scratch/broken"
  cp -r "$from" "$scratch/broken"
  rm "$scratch/broken/digests.sha256"
  { cat <<'PYTHON'
import json, os, struct
config = json.load(open("config.json"))
def replace(file, old, new):
    data = open(file, "rb").read()
    assert data.count(old) == 1 and len(old) == len(new)
    open(file, "wb").write(data.replace(old, new))
PYTHON
    cat
    echo 'if os.path.getsize("config.json") > 2: json.dump(config, open("config.json", "w"))'
  } >"$scratch/change.py"
  (cd "$scratch/broken" && python3 "$scratch/change.py")
  expect 65 "$text" "$get" --check "$name" "$scratch/broken"
  holds "no digest is written" test ! -e "$scratch/broken/digests.sha256"
}

large=$scratch/large
broken xlm-roberta-large "$large" "hidden_size is 16, but this encoder has 8" <<<'config["hidden_size"] = 16'
broken xlm-roberta-large "$large" "num_hidden_layers is 3, but this encoder has 2" <<<'config["num_hidden_layers"] = 3'
broken xlm-roberta-large "$large" "vocab_size is 31, but this encoder has 30" <<<'config["vocab_size"] = 31'
broken xlm-roberta-large "$large" "intermediate_size is None" <<<'del config["intermediate_size"]'
broken xlm-roberta-large "$large" "config.json: it is not JSON" <<<'open("config.json", "w").write("[")'
broken xlm-roberta-large "$large" "intermediate.dense.weight has the shape [16, 8], but config.json says [17, 8]" \
  <<<'config["intermediate_size"] = 17'
broken xlm-roberta-large "$large" "position_embeddings.weight has the shape [12, 8], but config.json says [14, 8]" \
  <<<'config["max_position_embeddings"] = 14'
broken glot500 "$scratch/glot" "word_embeddings.weight has the shape [40, 8], but config.json says [41, 8]" <<<'config["vocab_size"] = 41'
broken xlm-roberta-large "$large" "it has no tensor encoder.layer.1.output.dense.bias" \
  <<<'replace("model.safetensors", b"layer.1.output.dense.bias", b"layer.1.output.dense.xxxx")'
broken xlm-roberta-large "$large" "it has 8 layers, but config.json says 2" <<<'
data = open("model.safetensors", "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = data[8:8 + size].replace(b"lm_head.bias", b"encoder.layer.7.bias")
open("model.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + data[8 + size:])'
broken xlm-roberta-large "$large" "its header is damaged at" <<<'replace("model.safetensors", b"\"data_offsets\": [0, 960]", b"\"data_offsets\": [0, 964]")'
broken xlm-roberta-large "$large" "its header is damaged at lm_head.bias" \
  <<<'replace("model.safetensors", b"\"shape\": [30], ", b"\"shape\": [29], ")'
broken xlm-roberta-large "$large" "its header is damaged at roberta.embeddings.position_embeddings.weight" \
  <<<'replace("model.safetensors", b"\"data_offsets\": [960, 1344]", b"\"data_offsets\": [964, 1348]")'
broken xlm-roberta-large "$large" "but its header says" <<<'os.truncate("model.safetensors", os.path.getsize("model.safetensors") - 4)'
broken xlm-roberta-large "$large" "it is not a safetensors file" <<<'open("model.safetensors", "w").write("not weights")'
broken glot500 "$scratch/glot" "it is not a whole file of torch.save" \
  <<<'os.truncate("pytorch_model.bin", os.path.getsize("pytorch_model.bin") - 40)'
broken glot500 "$scratch/glot" "it holds os.system, not only tensors" <<<'import zipfile
with zipfile.ZipFile("pytorch_model.bin", "w") as z: z.writestr("archive/data.pkl", b"cos\nsystem\n(S\"touch ran\"\ntR.")'
holds "nothing of the pickle was run" test ! -e "$scratch/broken/ran" -a ! -e ran
broken xlm-roberta-large "$large" "it is not a Unigram tokenizer" <<<'json.dump({"model": {"type": "BPE", "vocab": [["x", 0]]}}, open("tokenizer.json", "w"))'
broken xlm-roberta-large "$large" "it is not a Unigram tokenizer" <<<'json.dump({"model": {"type": "Unigram"}}, open("tokenizer.json", "w"))'
broken xlm-roberta-large "$large" "it has 31 pieces, but config.json says vocab_size 30" <<<'
json.dump({"model": {"type": "Unigram", "vocab": [["x", 0]] * 31}}, open("tokenizer.json", "w"))'
broken xlm-roberta-large "$large" "has no model.safetensors or pytorch_model.bin" <<<'os.remove("model.safetensors")'

# ---- no network, no file -------------------------------------------------------------------------------------------------------

touch "$weights.refused"  # not a reason to fetch pytorch_model.bin in its place
expect 69 "cannot fetch $HYPERX_HUB/FacebookAI/xlm-roberta-base/resolve/main/model.safetensors" "$get" xlm-roberta-base "$scratch/refused"
rm "$weights.refused"
rm "$(files_of intfloat/multilingual-e5-small)/tokenizer.json"
expect 69 "cannot fetch tokenizer.json or sentencepiece.bpe.model" "$get" multilingual-e5-small "$scratch/empty"
HYPERX_HUB=http://127.0.0.1:1 expect 69 "cannot fetch http://127.0.0.1:1/FacebookAI/xlm-roberta-base/resolve/main/config.json" \
  "$get" xlm-roberta-base "$scratch/offline"
says "without a network, see launch/get-encoder --help"
HYPERX_HUB=http://127.0.0.1:1 expect 0 "is complete" "$get" --check multilingual-e5-small "$scratch/e5"

# A folder that cannot be written; a folder in use.
mkdir -p "$scratch/full/config.json.partial"
expect 73 "cannot write $scratch/full/config.json.partial" "$get" mbert "$scratch/full"
exec {lock}<"$scratch/e5"
flock "$lock"
sleep 1 &
exec {lock}<&-
expect 0 "waiting for it" "$get" --check multilingual-e5-small "$scratch/e5"
says "is complete"

holds "each row of launch/encoders.tsv has 12 columns" awk -F'\t' '!/^#/ && NF != 12 { bad = 1 } END { exit bad }' "$repository/launch/encoders.tsv"
finish
