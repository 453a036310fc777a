#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What this build is made of. All of it is known when the build is configured, except the CPU's capability, which is
// read from the machine at run time. Nothing here loads LibTorch.
namespace hyperx {

std::string_view version();       // "0.1.0"
std::string_view git_revision();  // of the source when the build was configured: "a6cb3fd08c11", "...-dirty", "unknown"

// Pairs such as ("LibTorch", "2.11.0+cu130 in DIR"), in the order of --version. Run folders store them in
// environment.json.
std::vector<std::pair<std::string, std::string>> build_facts();

std::string cpu_capability();  // "AVX512 AVX512-VNNI AMX-BF16": decides the speed of matrix products
std::string version_text();    // output of --version

}  // namespace hyperx
