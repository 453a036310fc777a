#include <gmock/gmock.h>

#include <filesystem>

#include "common/digest.h"
#include "common/files.h"
#include "tests/support/folder.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx::train {
namespace {

using testing::HasSubstr;

// The result of the comparison takes longer than the first steps: the file has a hole of 400 MB at its end.
TEST(DamagedData, NoCheckpointOfItIsCommitted) {
  const test::TemporaryFolder folder;
  TinyData data;
  const std::string corpus = data.folder.path("corpus"), file = corpus + "/pos.aa.h5";
  const auto change_index = [&](bool damaged) {
    auto index = nlohmann::json::parse(read_file(corpus + "/index.json"));
    for (auto& pair : index["pairs"])
      if (pair["file"] == "pos.aa.h5") {
        pair["bytes"] = std::filesystem::file_size(file);
        pair["xxh128"] = damaged ? std::string(kXxh128Digits, '0') : xxh128_of_file(file);
      }
    write_file_atomically(corpus + "/index.json", with_own_digest(index.dump(), "\"index_xxh128\":\""));
    data.corpus = data::Corpus::open(corpus);
  };
  std::filesystem::resize_file(file, 400'000'000);
  Config config = tiny_training_config();
  config.train.pairs = "pos:aa";
  config.checkpoint.every = 1;
  for (const bool damaged : {false, true}) {
    change_index(damaged);
    const std::string run = folder.path(damaged ? "damaged" : "whole");
    std::string error;
    try {
      train_run(data, config, run, {});
    } catch (const UserError& user_error) {
      error = user_error.what();
    }
    EXPECT_THAT(error, HasSubstr(damaged ? "pos.aa.h5" : "")) << damaged;
    EXPECT_EQ(error.empty(), !damaged) << error;
    EXPECT_EQ(std::filesystem::exists(run + "/checkpoints/" + checkpoint_name(1)) ||
                  std::filesystem::exists(run + "/checkpoints/" + checkpoint_name(12)),
              !damaged);
  }
}

}  // namespace
}  // namespace hyperx::train
