// check_case DIR [--weights FILE] [--type fp64|fp32|both]: runs a folder in the format of the reference cases and
// prints, for every array, how far ours is. Exit 0 all within tolerance, 1 not, 77 skipped (with the reason), 64-66 for
// a folder that is no case.
#include <cstdio>
#include <string>
#include <vector>

#include "common/errors.h"
#include "tests/golden/golden_case.h"

namespace {

constexpr int kSkipped = 77;

int check(const std::string& folder, const std::string& weights, const std::string& type_name) {
  using namespace hyperx::golden;
  const at::ScalarType type = type_name == "fp64" ? at::kDouble : at::kFloat;
  GoldenCase golden(folder, weights, type);
  size_t failed = 0;
  const std::vector<Deviation> deviations = golden.check();
  for (const Deviation& deviation : deviations) {
    std::printf("%s %-7s max abs %9.2e  max rel %9.2e  tolerance %.0e %s  %s\n",
                deviation.passed() ? "ok    " : "FAILED", type_name.c_str(), deviation.absolute, deviation.relative,
                deviation.tolerance, deviation.by_absolute ? "abs" : "rel", deviation.name.c_str());
    if (!deviation.passed()) ++failed;
  }
  std::printf("%s %s: %zu arrays, %zu past their tolerance\n", folder.c_str(), type_name.c_str(), deviations.size(),
              failed);
  return failed == 0 && !deviations.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string folder, weights, type = "both";
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--weights" && i + 1 < arguments.size()) {
      weights = arguments[++i];
    } else if (arguments[i] == "--type" && i + 1 < arguments.size()) {
      type = arguments[++i];
    } else if (folder.empty() && arguments[i].rfind("--", 0) != 0) {
      folder = arguments[i];
    } else {
      folder.clear();
      break;
    }
  }
  if (folder.empty() || (type != "fp64" && type != "fp32" && type != "both")) {
    std::fprintf(stderr, "usage: check_case DIR [--weights FILE] [--type fp64|fp32|both]\n");
    return static_cast<int>(hyperx::ExitCode::kUsage);
  }
  try {
    int worst = 0;
    for (const char* one : {"fp64", "fp32"})
      if (type == "both" || type == one) worst = std::max(worst, check(folder, weights, one));
    return worst;
  } catch (const hyperx::golden::SkippedCase& skipped) {
    std::printf("SKIPPED: %s\n", skipped.what());
    return kSkipped;
  } catch (const hyperx::UserError& error) {
    std::fprintf(stderr, "check_case: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "check_case: %s: %s\n", folder.c_str(), error.what());
    return static_cast<int>(hyperx::ExitCode::kBadData);
  }
}
