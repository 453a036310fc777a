// Damaged checkpoints, and going on with another number of ranks.
#include <gmock/gmock.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

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

// A disk that cannot be read for a moment: nothing is changed, and the same command works afterwards.
TEST_F(DamageTest, AReadErrorChangesNothing) {
  copy_run("unread");
  const auto content = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(path("unread") + "/checkpoints"))
      files[entry.path()] = entry.is_regular_file() ? read_file(entry.path()) : "";
    files["metrics"] = read_file(path("unread") + "/metrics.jsonl");
    return files;
  };
  const auto before = content();
  Arguments line = train_line("unread", kRun);
  line.insert(line.end(), {"--resume", "auto"});
  for (const auto& [file, number] : {std::pair{"/model.h5", EIO},
                                     {"open:step-0000020/model.h5", EMFILE},
                                     {"open:step-0000020/optimizer.h5", EACCES},
                                     {"/optimizer.h5", ESTALE},
                                     {"step-0000020/manifest.json", EIO},
                                     {"open:step-0000020/manifest.json", EACCES},
                                     {"checkpoints/latest", EIO},
                                     {"unread/metrics.jsonl", EIO},
                                     {"unread/state.json", ENOMEM}}) {
    setenv("HYPERX_TEST_UNREADABLE", file, 1);
    setenv("HYPERX_TEST_ERRNO", std::to_string(number).c_str(), 1);
    setenv("LD_PRELOAD", HYPERX_READ_FAULT, 1);
    const Outcome outcome = run(0, line);
    for (const char* name : {"LD_PRELOAD", "HYPERX_TEST_UNREADABLE", "HYPERX_TEST_ERRNO"}) unsetenv(name);
    EXPECT_EQ(outcome.code, 74) << file << ": " << outcome.errors;
    EXPECT_TRUE(content() == before) << file;
  }
  EXPECT_EQ(resume(2, "unread").code, 0);
  expect_equal_end("unread");
}

// It starts over only when it is told to, and nothing of before is deleted.
TEST_F(DamageTest, WithoutAWholeCheckpointTheRunStops) {
  copy_run("lost");
  for (const int64_t step : {10, 15, 20}) fs::resize_file(checkpoint("lost", step) + "/model.h5", 5000);
  const std::string metrics = read_file(path("lost") + "/metrics.jsonl");
  const Outcome refused = resume(2, "lost");
  EXPECT_EQ(refused.code, 65);
  EXPECT_THAT(refused.errors, HasSubstr("none of its checkpoints is whole (3 damaged; the newest: " +
                                        checkpoint("lost", 20) + "/model.h5: has 5000 bytes"));
  EXPECT_THAT(refused.errors, HasSubstr("--resume restart"));
  EXPECT_EQ(read_file(path("lost") + "/metrics.jsonl"), metrics);
  fs::remove_all(path("lost") + "/checkpoints");  // state.json still says that there were some
  EXPECT_EQ(resume(0, "lost").code, 65);
  make_folders(path("lost") + "/checkpoints");
  for (const char* aside : {".before", ".before-2"}) {
    Arguments line = train_line("lost", kRun);
    line.insert(line.end(), {"--resume", "restart"});
    ASSERT_EQ(run(2, line).code, 0);
    expect_equal_end("lost");
    EXPECT_TRUE(fs::is_directory(path("lost") + "/checkpoints" + aside));
  }
  EXPECT_EQ(read_file(path("lost") + "/metrics.jsonl.before"), metrics);
}

// `verify`, `inspect` and `evaluate` of a run whose training deletes its checkpoints meanwhile.
TEST_F(DamageTest, LookingAtARunThatTrains) {
  const Options busy = {{"train.steps", "100000"}, {"checkpoint.every", "1"}, {"checkpoint.keep_last", "1"}};
  Job job(0, train_line("busy", busy), path(""));
  ASSERT_TRUE(job.wait_until([&] { return fs::exists(path("busy") + "/checkpoints/latest"); }));
  make_folders(path("looks"));
  for (int i = 0; i < 15; ++i)
    for (const char* command : {"verify", "inspect"}) {
      const Outcome outcome = Job(0, {command, path("busy")}, path("looks")).wait();
      EXPECT_EQ(outcome.code, 0) << command << ": " << outcome.output << outcome.errors;
    }
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome =
        Job(0, {"evaluate", path("busy"), "--eval.pairs", "pos:mt", "--eval.limit", "5"}, path("looks")).wait();
    EXPECT_EQ(outcome.code, 0) << outcome.errors;
  }
  ASSERT_TRUE(job.running()) << job.wait().errors;
  job.send(SIGTERM);
  EXPECT_EQ(job.wait().code, 75);
}

// A file that may not grow (`ulimit -f`, a quota, a full disk): the exit code is that of the run, and HDF5 does not
// crash at the end.
TEST_F(DamageTest, FilesThatMayNotGrow) {
  const auto limited = [&](const Arguments& line) {
    Arguments words = {"-c", "ulimit -f 64; exec \"$@\"", "sh", HYPERX_PROGRAM};
    words.insert(words.end(), line.begin(), line.end());
    return Job(0, words, path(""), "/bin/bash").wait();
  };
  const Outcome training = limited(train_line("cut", kRun));
  EXPECT_EQ(training.code, 74) << training.errors;
  EXPECT_THAT(training.errors, HasSubstr("the last checkpoint could not be saved"));
  EXPECT_THAT(training.errors, HasSubstr("File too large"));
  EXPECT_TRUE(fs::is_empty(path("cut") + "/checkpoints"));
  std::ofstream(path("long.conllu")) << [&] {
    std::string text;
    while (text.size() < 200000) text += read_file(sample("pos.en.test.conllu"));
    return text;
  }();
  std::ofstream(path("manifest.tsv")) << "task\tlanguage\tsplit\tformat\tpath\n"
                                      << "pos\ten\ttrain\tconllu\tlong.conllu\n";
  const Outcome preparing = limited({"prepare", path("manifest.tsv"), "--data.root", path(""), "--data.corpus",
                                     path("parts/corpus"), "--model.encoder", encoder()});
  EXPECT_EQ(preparing.code, 74) << preparing.errors;
  EXPECT_TRUE(fs::is_empty(path("parts"))) << "no temporary folder is left";
  make_folders(path("out"));
  const Outcome predicting = limited({"predict", path("whole"), "--task", "pos", "--language", "en",
                                      path("long.conllu"), "--output", path("out/tagged.conllu")});
  EXPECT_EQ(predicting.code, 74) << predicting.errors;
  EXPECT_TRUE(fs::is_empty(path("out"))) << "no temporary file is left";
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
