# Sourced by the tests of this folder: a scratch folder, and what they check with.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$repository/launch/common.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

skip() {  # skip REASON
  echo "SKIPPED: $*"
  exit 77
}

# expect CODE TEXT COMMAND...: the command ends with CODE and says TEXT (empty: anything) on one of its two outputs.
expect() {
  local code=$1 text=$2 found=0
  shift 2
  "$@" >"$scratch/output" 2>&1 </dev/null || found=$?
  if [ "$found" != "$code" ] || ! grep -qF -- "$text" "$scratch/output"; then
    echo "FAILED: $*"
    echo "  expected exit code $code and the text: $text"
    echo "  found exit code $found and:"
    sed 's/^/    /' "$scratch/output"
    failures=$((failures + 1))
  fi
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
  local what=$1
  shift
  if ! "$@"; then
    echo "FAILED: $what ($*)"
    failures=$((failures + 1))
  fi
}

finish() {
  [ "$failures" = 0 ] || exit 1
  echo "all checks hold"
}
