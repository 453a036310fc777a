#!/usr/bin/env bash
# launch/setup: packages out of a folder of small stand-in wheels in place of the network.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# A copy of launch/ whose wheel table names the stand-ins.
copy=$scratch/copy
mkdir -p "$copy/wheels"
cp -r "$repository/launch" "$copy/"
python3 - "$copy" <<'PYTHON'
import base64, hashlib, os, sys, zipfile
root = sys.argv[1]
rows = []
for name, version, group, files in (
        ("torch", "2.11.0", "cpu", {"torch/lib/libtorch_cpu.so": b"tensor library"}),
        ("nvidia-cuda-cupti", "13.0.85", "cpu", {"nvidia/cu13/lib/libcupti.so": b"profiler"}),
        ("nvidia-nccl-cu13", "2.28.9", "toolkit", {"nvidia/nccl/lib/libnccl.so.2": b"collectives"})):
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = f"{root}/wheels/{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    data = open(wheel, "rb").read()
    rows.append(f"{name}\t{version}\t{len(data)}\t{hashlib.sha256(data).hexdigest()}\t{group}\n")
open(f"{root}/launch/wheels.tsv", "w").write("# stand-ins\n" + "".join(rows))
PYTHON
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$copy/wheels
unset HYPERX_PREFIX
setup=("$copy/launch/setup" --no-apt --no-encoder --cuda off --prefix)
torch=$scratch/p/libtorch-2.11.0

expect 64 "unknown argument '--nope'" "$copy/launch/setup" --nope
expect 64 "--cuda maybe: it is auto, off, on or wheels" "$copy/launch/setup" --cuda maybe

# What it downloads, and how much, is said; all is there; the downloads are gone; a second run fetches nothing.
expect 0 "downloading LibTorch, 1 MB in 2 packages" "${setup[@]}" "$scratch/p"
holds "the library is unpacked" test -f "$torch/torch/lib/libtorch_cpu.so"
holds "no download is left" test ! -e "$scratch/p/downloads"
mv "$copy/wheels" "$copy/away"
expect 0 "all is in place" "${setup[@]}" "$scratch/p"

# More packages later: only these are fetched, into the same folder.
expect 69 "pip could not download nvidia-nccl-cu13 2.28.9" "$copy/launch/setup" --no-apt --no-encoder --cuda wheels --prefix "$scratch/p"
mv "$copy/away" "$copy/wheels"
expect 0 "in 1 packages" "$copy/launch/setup" --no-apt --no-encoder --cuda wheels --prefix "$scratch/p"
holds "the new library is there" test -f "$torch/nvidia/nccl/lib/libnccl.so.2"
holds "the old one still" test -f "$torch/torch/lib/libtorch_cpu.so"

# A folder that was unpacked by hand is taken when its files are whole, and made anew when they are not.
rm "$torch/.complete"
expect 0 "torch 2.11.0 is unpacked already" "${setup[@]}" "$scratch/p"
rm "$torch/.complete"
echo damaged >"$torch/torch/lib/libtorch_cpu.so"
expect 0 "in 1 packages" "${setup[@]}" "$scratch/p"
holds "the damaged file is replaced" grep -q '^tensor library' "$torch/torch/lib/libtorch_cpu.so"

# A wheel with other bytes than the table's: refused, and nothing of it stays.
sed -i 's/^\(torch\t2.11.0\t[0-9]*\t\)..../\10000/' "$copy/launch/wheels.tsv"
expect 69 "it is thrown away" "${setup[@]}" "$scratch/q"
holds "no library" test ! -e "$scratch/q/libtorch-2.11.0"
holds "no wheel" test -z "$(find "$scratch/q" -name '*.whl')"

# A folder that cannot be made; packages that are missing without root.
touch "$scratch/file"
expect 73 "cannot make" "${setup[@]}" "$scratch/file/x"
mkdir "$scratch/tools"
printf '#!/bin/sh\nexit 1\n' >"$scratch/tools/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$scratch/tools/id"
printf '#!/bin/sh\nexit 1\n' >"$scratch/tools/apt-get"
chmod +x "$scratch/tools/"*
PATH=$scratch/tools:$PATH expect 77 "sudo apt-get update && sudo apt-get install -y --no-install-recommends g++" \
  "$copy/launch/setup" --prefix "$scratch/r"
PATH=$scratch/tools:$PATH expect 77 " clang-14 libclang-rt-14-dev " "$copy/launch/setup" --dev --prefix "$scratch/r"  # for tests/fuzz
finish
