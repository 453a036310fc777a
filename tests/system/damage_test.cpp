// Damaged checkpoints, and going on with another number of ranks.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Options kRun = {{"train.steps", "20"}, {"checkpoint.every", "5"}, {"checkpoint.keep_last", "3"}};

class DamageTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    train(2, "whole", kRun);
  }

  // The finished run once more, in another folder.
  void copy_run(const std::string& name) const { fs::copy(path("whole"), path(name), fs::copy_options::recursive); }

  Outcome resume(int ranks, const std::string& name) const {
    Arguments line = train_line(name, kRun);
    line.insert(line.end(), {"--resume", "auto"});
    return run(ranks, line);
  }

  void expect_equal_end(const std::string& name) {
    EXPECT_TRUE(checkpoint_file("whole", 20, "model.h5") == checkpoint_file(name, 20, "model.h5"));
    EXPECT_TRUE(checkpoint_file("whole", 20, "optimizer.h5") == checkpoint_file(name, 20, "optimizer.h5"));
    EXPECT_EQ(history("whole"), history(name));
  }

  // The newest checkpoint was damaged: the one before is taken, it is said, and the end is the same.
  void expect_fall_back(const std::string& name) {
    const Outcome outcome = resume(2, name);
    ASSERT_EQ(outcome.code, 0) << outcome.errors;
    EXPECT_THAT(outcome.errors, HasSubstr("step-0000020"));
    EXPECT_THAT(log(name), HasSubstr("at step 15"));
    EXPECT_TRUE(fs::exists(checkpoint(name, 20) + ".damaged"));
    std::printf("%s", outcome.errors.substr(0, outcome.errors.find('\n') + 1).c_str());
    expect_equal_end(name);
  }
};

TEST_F(DamageTest, AFlippedByte) {
  for (const char* file : {"model.h5", "optimizer.h5", "manifest.json"}) {
    const std::string name = std::string("flipped-") + file;
    copy_run(name);
    std::fstream stream(checkpoint(name, 20) + "/" + file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(0, std::ios::end);
    const auto middle = stream.tellg() / 2;
    stream.seekg(middle);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(middle);
    stream.put(byte);
    stream.close();
    expect_fall_back(name);
  }
}

TEST_F(DamageTest, ATruncatedFile) {
  copy_run("short");
  const std::string file = checkpoint("short", 20) + "/optimizer.h5";
  fs::resize_file(file, fs::file_size(file) - 1);
  expect_fall_back("short");
}

TEST_F(DamageTest, AMissingManifest) {
  copy_run("bare");
  fs::remove(checkpoint("bare", 20) + "/manifest.json");
  expect_fall_back("bare");
}

// Two bad files of a checkpoint are one bad checkpoint, and one of another format version is none.
TEST_F(DamageTest, VerifyCountsCheckpoints) {
  const Outcome whole = run(0, {"verify", path("whole")});
  EXPECT_EQ(whole.code, 0) << whole.errors;
  copy_run("bad");
  for (const char* file : {"/model.h5", "/optimizer.h5"}) fs::resize_file(checkpoint("bad", 15) + file, 100);
  const Outcome bad = run(0, {"verify", path("bad")});
  EXPECT_EQ(bad.code, 65);
  EXPECT_THAT(bad.errors, HasSubstr("1 of 3 damaged; the first: " + checkpoint("bad", 15)));

  const std::string manifest = checkpoint("bad", 10) + "/manifest.json";
  std::string text = read_file(manifest);
  text.replace(text.find("\"format_version\": 2"), 19, "\"format_version\": 1");
  text.replace(text.find("manifest_xxh128"), 15, "manifest_sha256");  // as version 1 named it
  write_file_atomically(manifest, text);
  const Outcome older = run(0, {"verify", checkpoint("bad", 10)});
  EXPECT_EQ(older.code, 65);
  EXPECT_THAT(older.errors, HasSubstr("1 of 1 of another format version; the first: " + manifest));
  EXPECT_EQ(older.output.find("DAMAGED"), std::string::npos) << older.output;
  const Outcome both = run(0, {"verify", path("bad")});
  EXPECT_THAT(both.errors, HasSubstr("1 of 3 damaged, 1 of 3 of another format version"));
  std::printf("%s%s", both.output.c_str(), both.errors.c_str());
}

TEST_F(DamageTest, AFinishedRunStaysAsItIs) {
  copy_run("again");
  const Outcome outcome = resume(2, "again");
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(state("again").at("state"), "finished");
  expect_equal_end("again");
}

TEST_F(DamageTest, AnotherNumberOfRanksGoesOn) {
  copy_run("three");
  fs::remove_all(checkpoint("three", 20));
  const Outcome outcome = resume(3, "three");
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(state("three").at("world_size"), 3);
  const double gap = largest_relative_difference(steps("whole"), steps("three"), "loss");
  std::printf("loss differs by %.1e\n", gap);
  EXPECT_LT(gap, 1e-5);
}

// What the training depends on may not change under a run.
TEST_F(DamageTest, AnotherBatchSizeIsRefused) {
  copy_run("other");
  fs::remove_all(checkpoint("other", 20));
  Options options = kRun;
  options["train.batch_sentences"] = "11";
  Arguments line = train_line("other", options);
  line.insert(line.end(), {"--resume", "auto"});
  const Outcome outcome = run(2, line);
  EXPECT_EQ(outcome.code, 78);
  EXPECT_THAT(outcome.errors, HasSubstr("train.batch_sentences"));
}

}  // namespace
}  // namespace hyperx::testing_system
