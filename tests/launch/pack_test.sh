#!/usr/bin/env bash
# launch/pack: the folder asks for no newer glibc than it says; it works where nothing is installed (a root that holds Debian's essential
# packages alone), after it has moved, in a container made by cluster/hyperx.def's %post, and as a job of SLURM.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/check.sh"

export HYPERX_BUILD=${HYPERX_BUILD:-$repository/build/release}
[ -x "$HYPERX_BUILD/bin/hyperx" ] || skip "$HYPERX_BUILD/bin/hyperx is not built"
for tool in patchelf mmdebstrap slurmctld srun munged; do
  command -v $tool >/dev/null || skip "no $tool here: launch/setup --dev installs it"
done
[ "$(id -u)" = 0 ] || skip "making a root and starting SLURM need root"
pack=$repository/launch/pack

expect 64 "name the folder to make" "$pack"
expect 64 "unknown argument '--nope'" "$pack" --nope
expect 73 "exists already" "$pack" "$scratch"
HYPERX_BUILD=$scratch/none expect 66 "is not built" "$pack" "$scratch/packed"

expect 0 "needs glibc 2.34" "$pack" "$scratch/packed"
[ "$failures" = 0 ] || finish
holds "it found all libraries" test -z "$(grep 'not packed' "$scratch/output")"
mkdir "$scratch/elsewhere"
packed=$scratch/elsewhere/moved
mv "$scratch/packed" "$packed"

newer_glibc() {  # prints each file that needs more than glibc 2.34
  local file
  for file in "$@"; do
    readelf -V "$file" 2>/dev/null | grep -E 'GLIBC_2\.(3[5-9]|[4-9][0-9])' >/dev/null && echo "$file"
  done
  true
}
mapfile -t programs < <(find "$packed" -path "$packed/libtorch" -prune -o -type f \( -path '*/libexec/*' -o -name '*.so*' \) -print)
holds "no program or library needs more than glibc 2.34" test -z "$(newer_glibc "${programs[@]}")"
unpacked=$(ldconfig -p | awk '/libstdc\+\+\.so\.6 .*x86-64/ && !found++ {print $NF}')  # to the end: else ldconfig may die of SIGPIPE
if readelf -V "$unpacked" | grep GLIBC_2.36 >/dev/null; then  # the check finds what is there to be found
  holds "this machine's libstdc++ needs more" test "$(newer_glibc "$unpacked")" = "$unpacked"
fi

# ---- where nothing is installed ----

root=$scratch/root
# shellcheck disable=SC1091
suite=$(source /etc/os-release; echo "$VERSION_CODENAME")
mapfile -t sources < <(find /etc/apt -name '*.list' -o -name '*.sources')
make_root() { mmdebstrap --quiet --variant="$1" "$suite" "$2" "${sources[@]}" 2>"$scratch/root.log" || { cat "$scratch/root.log"; exit 1; }; }
make_root essential "$root"
mkdir -p "$root/opt/hyperx" "$root/data"
cp -r "$repository/examples/encoder" "$root/data/encoder"
sed -i 's/"hidden_size": *[0-9]*/"hidden_size": 64/; s/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 2/
        s/"num_attention_heads": *[0-9]*/"num_attention_heads": 2/; s/"intermediate_size": *[0-9]*/"intermediate_size": 128/' \
  "$root/data/encoder/config.json"
# in_root COMMAND...: with nothing of this machine but the packed folder, the kernel and the processors.
in_root() {
  unshare --mount bash -euc '
    root=$1 packed=$2
    shift 2
    mount --make-rprivate /
    mount --bind "$packed" "$root/opt/hyperx"
    mount --bind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
      OMPI_MCA_rmaps_base_oversubscribe=1 "$@"' in_root "$root" "$packed" "$@"
}
hyperx=/opt/hyperx/bin/hyperx
holds "the root has no MPI, HDF5, Python, libstdc++ or ssh" test -z "$(find "$root/usr" \( -name 'libmpi*' -o -name 'libhdf5*' -o \
  -name 'python3*' -o -name 'libstdc++*' -o -name ssh -o -name srun \) -type f)"
expect 0 "hyperx " in_root $hyperx --version
expect 0 "ner:tr" in_root $hyperx prepare /opt/hyperx/share/examples/sample/manifest.tsv --data.corpus /data/corpus --model.encoder /data/encoder
train=(train --data.corpus /data/corpus --model.encoder random:/data/encoder --train.pairs 'pos:*' --train.steps 6 --train.warmup_steps 1 --eval.limit 20
  --hyperx.adapter_dim 16 --run.dir)
expect 0 "" in_root /opt/hyperx/bin/mpirun -np 2 $hyperx "${train[@]}" /data/run
holds "two ranks trained 6 steps" test "$(grep -c '"event":"step"' "$root/data/run/metrics.jsonl")" = 6
holds "two ranks are on record" test "$(wc -l <"$root/data/run/hosts.tsv")" = 3
expect 0 "" in_root /opt/hyperx/launch/run -n 2 -t 1 "${train[@]}" /data/run2
expect 0 "pos:en" in_root $hyperx evaluate /data/run --eval.limit 20
echo "Washington is a city ." >"$root/data/text.txt"
expect 0 "Washington" in_root $hyperx predict /data/run --task pos --language en /data/text.txt

# ---- as a job of SLURM ----

chmod 755 "$scratch"  # munge wants to be reached by all
export SLURM_PORT=$((20000 + $$ % 10000))
expect 0 "slurm is up" "$repository/tests/lab/start-slurm.sh" "$scratch/slurm"
trap '"$repository/tests/lab/stop-slurm.sh" "$scratch/slurm" >/dev/null 2>&1; rm -rf "$scratch"' EXIT
# shellcheck disable=SC1091
source "$scratch/slurm/env.sh"
in_job() {  # in_job LINE: its output, when the job has ended
  local code=0
  : >"$scratch/job"
  env -u HYPERX_BUILD -u LD_LIBRARY_PATH sbatch -W -n2 -o "$scratch/job" --wrap "$1" || code=$?
  cat "$scratch/job"
  return $code
}
job=$(printf '%q ' "${train[@]//\/data\//$root/data/}")
expect 0 "" in_job "srun --mpi=pmix $packed/bin/hyperx $job $scratch/srun"
holds "two ranks trained 6 steps under srun" test "$(grep -c '"event":"step"' "$scratch/srun/metrics.jsonl")" = 6
holds "srun started two ranks" test "$(wc -l <"$scratch/srun/hosts.tsv")" = 3
expect 0 "" in_job "$packed/bin/mpirun $packed/bin/hyperx $job $scratch/mpirun"
holds "mpirun took two ranks from SLURM" test "$(wc -l <"$scratch/mpirun/hosts.tsv")" = 3

# ---- as a container: there is no Apptainer here, so its steps are taken by hand ----

root=$scratch/container
make_root apt "$root"
cp /etc/resolv.conf "$root/etc/"
cp -r /etc/apt/apt.conf.d "$root/etc/apt/"
mkdir -p "$root/opt/hyperx"
expect 0 "revision " in_root sh -euc "$(sed -n '/^%post/,/^%environment/{/^%/!p}' "$repository/cluster/hyperx.def")"
finish
