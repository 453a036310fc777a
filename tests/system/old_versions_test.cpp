// A run that version 0.1.0 left goes on: its settings, checkpoint and results are read.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kKept = std::string(HYPERX_SOURCE_DIR) + "/tests/trainer/old_versions/v0.1.0";

class OldVersionsTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    fs::copy(kKept, path("old"), fs::copy_options::recursive);
    const Outcome prepared = run(0, {"prepare", path("old/manifest.tsv"), "--data.corpus", path("corpus"),
                                     "--model.encoder", path("old/encoder")});
    ASSERT_EQ(prepared.code, 0) << prepared.errors;
  }

  Arguments with_places(Arguments line) const {
    const Arguments places = {"--model.encoder", "random:" + path("old/encoder"),
                              "--data.corpus",   path("corpus"),
                              "--device",        "cpu",
                              "--threads",       "1"};
    line.insert(line.end(), places.begin(), places.end());
    return line;
  }
  std::string expected(const std::string& file) const { return read_file(kKept + "/expected/" + file); }
};

TEST_F(OldVersionsTest, Evaluates) {
  const Outcome outcome =
      run(0, with_places({"evaluate", path("old/run"), "--eval.split", "test", "--eval.predictions", "yes"}));
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  for (const char* pair : {"pos.en", "pos.kk", "ner.tr"}) {
    const std::string file = std::string("results/step-0000008/test/") + pair + ".tsv";
    EXPECT_EQ(read_file(path("old/run/" + file)), expected(file)) << pair;
  }
}

TEST_F(OldVersionsTest, Predicts) {
  Arguments line = {"predict",
                    path("old/run"),
                    "--task",
                    "pos",
                    "--language",
                    "kk",
                    path("old/data/pos.kk.test.conllu"),
                    "--model.encoder",
                    "random:" + path("old/encoder"),
                    "--device",
                    "cpu",
                    "--threads",
                    "1"};
  const Outcome outcome = run(0, line);
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(outcome.output, expected("predicted.pos.kk.conllu"));
}

// By the settings that the run folder itself holds, old names and all.
TEST_F(OldVersionsTest, GoesOn) {
  const Arguments line =
      with_places({"train", "--config", path("old/run/config.conf"), "--run.dir", path("old/run"), "--resume", "auto"});
  const Outcome outcome = run(0, line);
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  const auto found = steps("old/run");
  fs::create_directories(path("whole"));
  fs::copy_file(kKept + "/expected/metrics.jsonl", path("whole/metrics.jsonl"));
  const auto whole = steps("whole");
  ASSERT_EQ(found.size(), 12U);
  ASSERT_EQ(whole.size(), 12U);
  for (size_t i = 8; i < 12; ++i) {
    EXPECT_EQ(found[i].at("pair"), whole[i].at("pair"));
    EXPECT_NEAR(found[i].at("loss").get<double>(), whole[i].at("loss").get<double>(), 1e-5) << "step " << i + 1;
  }
  const Tensors now = tensors("old/run", 12);
  const h5::File file = h5::File::open(kKept + "/expected/model-12.h5");
  size_t compared = 0;
  for (const auto& [name, values] : now) {
    std::vector<float> before(values.size());
    file.read("tensors/" + name, h5::Type::kFloat32, before.data());
    for (size_t i = 0; i < values.size(); ++i, ++compared) ASSERT_NEAR(values[i], before[i], 1e-4) << name;
  }
  EXPECT_GT(compared, 1000U);
}

}  // namespace
}  // namespace hyperx::testing_system
