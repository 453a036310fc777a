// hyperx-bench on the shipped sample.
#include <gmock/gmock.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class BenchTest : public SystemTest {};

// It takes more steps than such a training has. A dense gradient, where it is asked for, is seen in the memory.
TEST_F(BenchTest, StepsNeedNoLongTraining) {
  const auto peak_megabytes = [&](const std::string& gradient) {
    Arguments line = {"step", "--repeat", "1", "--data.corpus", corpus(), "--json", path("bench.json")};
    for (const auto& [key, value] : Options{{"model.encoder", "random:" + encoder()},
                                            {"train.pairs", "pos:en"},
                                            {"train.steps", "3"},
                                            {"train.warmup_steps", "0"},
                                            {"train.precision", "fp32"},
                                            {"parallel.exchange", gradient}})
      line.insert(line.end(), {"--" + key, value});
    const Outcome bench = Job(0, line, path(""), HYPERX_BENCH).wait();
    EXPECT_EQ(bench.code, 0) << bench.errors;
    if (bench.code != 0) return 0.0;
    const json measured = json::parse(read_file(path("bench.json")));
    for (const json& row : measured.at("measures"))
      if (row.at("what") == "activations at the peak") return row.at("value").get<double>();
    ADD_FAILURE() << bench.output;
    return 0.0;
  };
  const double factored = peak_megabytes("factors"), dense = peak_megabytes("dense");
  std::printf("peak: %.1f MB, with a dense gradient %.1f MB\n", factored, dense);
  EXPECT_GT(dense, factored + 4e-6 * 16000 * 193);  // of [2 * 256 * 32, 192] and a bias
}

TEST_F(BenchTest, HelpAndMistakesNameTheProgram) {
  const Outcome help = Job(0, {"--help"}, path(""), HYPERX_BENCH).wait();
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, HasSubstr("Usage: hyperx-bench [PART]..."));
  const Outcome unknown = Job(0, {"stop"}, path(""), HYPERX_BENCH).wait();
  EXPECT_EQ(unknown.code, 64);
  EXPECT_THAT(unknown.errors, HasSubstr("hyperx-bench: there is no part 'stop', only machine, start"));
  EXPECT_THAT(Job(0, {"--data.unheard_of_option", "3"}, path(""), HYPERX_BENCH).wait().errors,
              HasSubstr("hyperx-bench: unknown option --data.unheard_of_option; `hyperx-bench --help` lists"));
}

}  // namespace
}  // namespace hyperx::testing_system
