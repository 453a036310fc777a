#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What this build is made of. All of it is known when the build is configured, but for the CPU's capability, which is
// asked of the machine that runs; nothing here loads LibTorch.
namespace hyperx {

std::string_view version();       // "0.1.0"
std::string_view git_revision();  // of the source when the build was configured: "a6cb3fd08c11", "...-dirty", "unknown"

// ("LibTorch", "2.11.0+cu130 in DIR") and the like, in the order of --version. Run folders keep them in
// environment.json.
std::vector<std::pair<std::string, std::string>> build_facts();

std::string cpu_capability();  // "AVX512 AVX512-VNNI AMX-BF16": what decides the speed of products
std::string version_text();    // output of --version

}  // namespace hyperx
