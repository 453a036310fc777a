#pragma once

// HYPERX_MULTIVERSION before a function makes the compiler emit it for several instruction sets; the one that fits is
// picked when the program is loaded. One binary thus vectorises plain loops to the width of each machine. Inner helpers
// are HYPERX_INLINE templates, so that they are compiled for the instruction set of the function they are inlined into.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define HYPERX_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HYPERX_MULTIVERSION
#endif
#define HYPERX_INLINE inline __attribute__((always_inline))
#define HYPERX_RESTRICT __restrict__
