#pragma once

// HYPERX_MULTIVERSION before a function makes the compiler emit it for several instruction sets and pick one when the
// program loads. Plain loops vectorise to the width of the machine, from one binary. Inner helpers are HYPERX_INLINE
// templates, so that they are compiled with the set of the function they end up in.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define HYPERX_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HYPERX_MULTIVERSION
#endif
#define HYPERX_INLINE inline __attribute__((always_inline))
#define HYPERX_RESTRICT __restrict__
