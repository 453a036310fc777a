#include "common/version.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <utf8proc.h>

#include "version_facts.h"

namespace hyperx {

std::string_view version() { return HYPERX_VERSION; }
std::string_view git_revision() { return HYPERX_GIT_REVISION; }

std::string cpu_capability() {
#if defined(__x86_64__)
  std::string text = __builtin_cpu_supports("avx512f") ? "AVX512" : __builtin_cpu_supports("avx2") ? "AVX2" : "SSE";
  // Bits of CPUID leaf 7 for which the compiler's builtin has no name.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    if (ecx & (1U << 11)) text += " AVX512-VNNI";
    if (edx & (1U << 22)) text += " AMX-BF16";
  }
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1U << 5))) text += " AVX512-BF16";
  return text;
#elif defined(__aarch64__)
  return "AArch64";
#else
  return "unknown";
#endif
}

std::vector<std::pair<std::string, std::string>> build_facts() {
  const auto part = [](int number) { return std::to_string(number); };
  const std::string utf8proc =
      part(UTF8PROC_VERSION_MAJOR) + "." + part(UTF8PROC_VERSION_MINOR) + "." + part(UTF8PROC_VERSION_PATCH);
  return {{"revision", HYPERX_GIT_REVISION},  {"compiler", HYPERX_COMPILER},    {"build type", HYPERX_BUILD_TYPE},
          {"LibTorch", HYPERX_LIBTORCH_FACT}, {"MPI", HYPERX_MPI_FACT},         {"CUDA", HYPERX_CUDA_FACT},
          {"NCCL", HYPERX_NCCL_FACT},         {"GPU kernels", HYPERX_GPU_FACT}, {"HDF5", HYPERX_HDF5_FACT},
          {"Boost", HYPERX_BOOST_FACT},       {"utf8proc", utf8proc},           {"OpenSSL", HYPERX_OPENSSL_FACT}};
}

std::string version_text() {
  std::string text = "hyperx " HYPERX_VERSION " (" HYPERX_GIT_REVISION ")\n";
  auto facts = build_facts();
  facts.emplace_back("this CPU", cpu_capability());
  for (const auto& [name, value] : facts) text += name + std::string(14 - name.size(), ' ') + value + "\n";
  return text;
}

}  // namespace hyperx
