#!/usr/bin/env bash
# usage: without_cuda.sh OBJECT...
# Fails where an object compiled without CUDA needs a function that only a build with CUDA has.
set -euo pipefail
[ $# -gt 0 ]
needed=$(nm --undefined-only --demangle "$@" | grep -E ' U (hyperx::.*(cuda_|kernels::|[Nn]ccl)|(cuda|nccl)[A-Z])' || true)
[ -z "$needed" ] || { echo "needed where there is no CUDA (put it under if constexpr (kHasOwnKernels)):"; echo "$needed"; exit 1; }
