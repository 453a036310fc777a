#include "trainer/checkpoint/checkpoint.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "common/errors.h"
#include "common/files.h"
#include "common/read_error.h"
#include "tests/support/errors.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {
namespace {

using test::user_error;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class CheckpointFiles : public FolderTest {
 protected:
  // The checkpoint that a run stands for, where nothing is wrong.
  static std::string resolve_quietly(const std::string& run) {
    testing::internal::CaptureStderr();
    const std::string found = resolve_checkpoint(run);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::Not(HasSubstr("warning")));
    return found;
  }
  static std::string resolve_with_warning(const std::string& run) {
    testing::internal::CaptureStderr();
    resolve_checkpoint(run);
    const std::string errors = testing::internal::GetCapturedStderr();
    EXPECT_THAT(errors, HasSubstr("warning"));
    return errors;
  }
};

TEST_F(CheckpointFiles, NamesAndSteps) {
  EXPECT_EQ(checkpoint_name(5000), "step-0005000");
  EXPECT_EQ(checkpoint_name(123456789), "step-123456789");
  EXPECT_EQ(step_of_name("step-0005000"), 5000);
  EXPECT_EQ(step_of_name("step-123456789"), 123456789);
  for (const char* name :
       {"step-5000", "step-0005000.tmp", "step-", "best", "step-00005000", "step--000500", "step-99999999999999999999"})
    EXPECT_EQ(step_of_name(name), std::nullopt) << name;
}

TEST_F(CheckpointFiles, ComesBackAndIsTheSameBytesEachTime) {
  const std::string one = write_now(path("a"), 5000), two = write_now(path("b"), 5000);
  Sample::expect_whole(one);
  EXPECT_TRUE(verify_checkpoint(one).empty());
  EXPECT_TRUE(read_file(one + "/model.h5") == read_file(two + "/model.h5"));
  EXPECT_TRUE(read_file(one + "/optimizer.h5") == read_file(two + "/optimizer.h5"));
  const Checkpoint checkpoint = Checkpoint::open(one);
  EXPECT_EQ(checkpoint.manifest().all.at("world_size"), 2);
  EXPECT_EQ(checkpoint.manifest().all.at("config"), "run.dir = r\n");
  EXPECT_FALSE(checkpoint.manifest().score.has_value());
  EXPECT_EQ(names_in(one), "manifest.json model.h5 optimizer.h5");
  EXPECT_EQ(names_in(path("a")), "step-0005000");
}

TEST_F(CheckpointFiles, StrictLoadListsBothSidesAndTouchesNothing) {
  const Checkpoint checkpoint = Checkpoint::open(write_now(path("a"), 7));
  Sample other(1);
  other.model_[1].name = "embeddings.language.kk";
  other.model_[2].shape = {1};
  const std::vector<float> before = other.model_[0].values;
  EXPECT_THAT(user_error([&] { checkpoint.load_model(other.model_targets()); }),
              AllOf(StartsWith("65 "), HasSubstr("Not in the file: embeddings.language.kk."),
                    HasSubstr("Only in the file: embeddings.language.tr."),
                    HasSubstr("heads.pos.bias (file: float32 [], wanted: float32 [1])")));
  EXPECT_EQ(other.model_[0].values, before);
  const LoadReport report = checkpoint.load_model_partly(other.model_targets());
  EXPECT_EQ(other.model_[0].values, Sample(7).model_[0].values);
  EXPECT_THAT(report.missing, ElementsAre("embeddings.language.kk", HasSubstr("heads.pos.bias")));
  EXPECT_THAT(report.unused, ElementsAre("embeddings.language.tr"));

  std::vector<TensorTarget> wide = Sample(1).model_targets();
  wide[2].type = h5::Type::kFloat64;
  EXPECT_THAT(user_error([&] { checkpoint.load_model(wide); }),
              AllOf(StartsWith("65 "), HasSubstr("file: float32 [], wanted: float64 []")));
}

TEST_F(CheckpointFiles, AValueThatIsNotFiniteIsNamed) {
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    Sample sample(1);
    sample.optimizer_[1].values[5] = bad;
    sample.model_[0].values[7] = bad;
    const CheckpointContent content = sample.content();
    const std::string name = path("c/step-0000001"), written = name + ".tmp";
    fs::create_directories(written);
    commit_checkpoint(written, name, content, write_checkpoint_files(written, content));
    const Checkpoint checkpoint = Checkpoint::open(name);
    Sample got(1);
    EXPECT_THAT(test::message_of(ExitCode::kBadData, [&] { checkpoint.load_model(got.model_targets()); }),
                HasSubstr("step-0000001/model.h5: value 7 of generators.weight is "));
    EXPECT_THAT(test::message_of(ExitCode::kBadData, [&] { checkpoint.load_model_partly(got.model_targets()); }),
                HasSubstr("value 7 of generators.weight is "));
    EXPECT_THAT(test::message_of(ExitCode::kBadData, [&] { checkpoint.load_optimizer(got.optimizer_targets()); }),
                HasSubstr("step-0000001/optimizer.h5: value 5 of generators.weight.v is "));
    fs::remove_all(name);
  }
}

TEST_F(CheckpointFiles, DamageIsNamed) {
  const std::string folder = write_now(path("a"), 7);
  flip(folder + "/model.h5", static_cast<int64_t>(fs::file_size(folder + "/model.h5")) / 2);
  EXPECT_THAT(verify_checkpoint(folder), ElementsAre(AllOf(HasSubstr("model.h5"), HasSubstr("XXH128"))));
  EXPECT_THAT(user_error([&] { Checkpoint::open(folder); }), AllOf(StartsWith("65 "), HasSubstr("model.h5")));
  fs::resize_file(folder + "/optimizer.h5", 100);
  EXPECT_THAT(verify_checkpoint(folder), ElementsAre(HasSubstr("model.h5"), HasSubstr("optimizer.h5: has 100 bytes")));
  fs::remove(folder + "/optimizer.h5");
  EXPECT_THAT(verify_checkpoint(folder)[1], HasSubstr("No such file"));
  const std::string renamed = path("a/step-0000009");
  fs::rename(write_now(path("a"), 8), renamed);
  EXPECT_THAT(verify_checkpoint(renamed), ElementsAre(HasSubstr("manifest says step 8")));
  EXPECT_THAT(user_error([&] { Checkpoint::open(path("none")); }),
              AllOf(StartsWith("66 "), HasSubstr("manifest.json")));
}

// A manifest with the right digest, as a stranger could write it.
TEST_F(CheckpointFiles, ManifestsOfAnotherFormAreRefused) {
  const std::string folder = write_now(path("a"), 7), file = folder + "/manifest.json";
  const auto whole = nlohmann::json::parse(read_file(file));
  fs::copy_file(folder + "/model.h5", path("elsewhere.h5"));
  const auto expect_refused = [&](const nlohmann::json& object, const std::string& words) {
    write_file_atomically(file, manifest_text(object));
    EXPECT_THAT(verify_checkpoint(folder), ElementsAre(AllOf(HasSubstr(file), HasSubstr(words))));
    EXPECT_THAT(user_error([&] { Checkpoint::open(folder); }), AllOf(StartsWith("65 " + file), HasSubstr(words)));
  };
  for (const char* name : {"../elsewhere.h5", "../a/step-0000007/model.h5", "/etc/passwd", "..", ".", ""}) {
    nlohmann::json object = whole;
    object["files"][name] = object["files"]["model.h5"];
    expect_refused(object, "is no name of a file in this folder");
  }
  for (const auto& [key, value, words] :
       {std::tuple{"/step", nlohmann::json("7"), "step is \"7\", not a whole number"},
        {"/step", nlohmann::json(), "has no 'step'"},
        {"/score", nlohmann::json("x"), "score is \"x\", not a number"},
        {"/score_of", nlohmann::json::array(), "score_of is [], not a text"},
        {"/world_size", nlohmann::json("x"), "world_size is \"x\", not a whole number"},
        {"/program", nlohmann::json(7), "program is 7, not a text"},
        {"/config", nlohmann::json(7), "config is 7, not a text"},
        {"/files", nlohmann::json::array(), "files is [], not an object"},
        {"/files/model.h5", nlohmann::json(7), "files.model.h5 is 7, not an object"},
        {"/files/model.h5/bytes", nlohmann::json("x"), "files.model.h5.bytes is \"x\", not a whole number"},
        {"/files/model.h5/xxh128", nlohmann::json(7), "files.model.h5.xxh128 is 7, not a text"}}) {
    nlohmann::json object = whole;
    object[nlohmann::json::json_pointer(key)] = value;
    expect_refused(object, words);
  }
}

TEST_F(CheckpointFiles, OtherFormatVersionNamesTheProgramToUse) {
  const std::string folder = write_now(path("a"), 7);
  std::string text = read_file(folder + "/manifest.json");
  // a newer program would have written a digest that fits, so that of this text is wrong first
  text.replace(text.find("\"format_version\": 2"), 19, "\"format_version\": 9");
  write_file_atomically(folder + "/manifest.json", text);
  EXPECT_THAT(verify_checkpoint(folder), ElementsAre(HasSubstr("does not have the digest that it names")));
}

TEST_F(CheckpointFiles, OlderFormatIsNotTakenForDamage) {
  const std::string folder = write_now(path("a"), 7);
  std::string text = read_file(folder + "/manifest.json");
  text.replace(text.find("\"format_version\": 2"), 19, "\"format_version\": 1");
  text.replace(text.find("manifest_xxh128"), 15, "manifest_sha256");  // as version 1 named it
  write_file_atomically(folder + "/manifest.json", text);
  EXPECT_THAT(verify_checkpoint(folder), ElementsAre(HasSubstr("format version 1, this program reads 2")));
  EXPECT_THAT(user_error([&] { find_latest_whole(path("a")); }),
              AllOf(StartsWith("65 "), HasSubstr("format version 1")));
}

TEST_F(CheckpointFiles, NewestWholeOneIsFoundAndDamagedOnesSetAside) {
  write_now(path("a"), 10);
  write_now(path("a"), 20);
  const std::string broken = write_now(path("a"), 30);
  drop_optimizer(write_now(path("a"), 25));
  fs::create_directories(path("a/step-0000040"));  // no manifest
  flip(broken + "/optimizer.h5", 5000);
  FoundCheckpoint found = find_latest_whole(path("a"));
  EXPECT_EQ(found.folder, path("a/step-0000020"));
  EXPECT_EQ(found.step, 20);
  ASSERT_EQ(found.damaged.size(), 2u);
  EXPECT_THAT(found.damaged[0].reason, HasSubstr("step-0000040/manifest.json"));
  EXPECT_THAT(found.damaged[1].reason, HasSubstr("optimizer.h5: its XXH128"));
  EXPECT_EQ(find_latest_whole(path("a"), false).step, 25);
  set_aside_damaged(found);
  EXPECT_EQ(names_in(path("a")), "step-0000010 step-0000020 step-0000025 step-0000030.damaged step-0000040.damaged");
  EXPECT_TRUE(find_latest_whole(path("a")).damaged.empty());
  EXPECT_EQ(find_latest_whole(path("nothing")).folder, "");
}

TEST_F(CheckpointFiles, WithoutOptimizerItEvaluatesButDoesNotResume) {
  const std::string folder = write_now(path("a"), 7, 0.5);
  drop_optimizer(folder);
  drop_optimizer(folder);
  EXPECT_TRUE(verify_checkpoint(folder).empty());
  EXPECT_EQ(names_in(folder), "manifest.json model.h5");
  const Checkpoint checkpoint = Checkpoint::open(folder);
  Sample got(1);
  checkpoint.load_model(got.model_targets());
  EXPECT_EQ(got.model_[0].values, Sample(7).model_[0].values);
  EXPECT_EQ(checkpoint.manifest().score, 0.5);
  EXPECT_THAT(user_error([&] { checkpoint.load_optimizer(got.optimizer_targets()); }),
              AllOf(StartsWith("65 "), HasSubstr("train.init_from")));
}

TEST_F(CheckpointFiles, SameStepAgainReplaces) {
  write_now(path("a"), 7, 0.1);
  const std::string folder = write_now(path("a"), 7, 0.9);
  Sample::expect_whole(folder);
  EXPECT_EQ(Checkpoint::open(folder).manifest().score, 0.9);
  EXPECT_EQ(names_in(path("a")), "step-0000007");
}

// Nothing that was set aside is deleted by a later start.
TEST_F(CheckpointFiles, EachDamagedOneIsKeptUnderAName) {
  write_now(path("a"), 10);
  for (const char* text : {"first", "second"}) {
    const std::string broken = write_now(path("a"), 20);
    write_file_atomically(broken + "/model.h5", text);
    EXPECT_EQ(take_resume_point(path("a")), path("a/step-0000010"));
  }
  EXPECT_EQ(names_in(path("a")), "step-0000010 step-0000020.damaged step-0000020.damaged-2");
  EXPECT_EQ(read_file(path("a/step-0000020.damaged/model.h5")), "first");
}

TEST_F(CheckpointFiles, ARunWhoseCheckpointsAreLostDoesNotStartOver) {
  EXPECT_EQ(take_resume_point(path("none")), "");
  fs::create_directories(path("a/step-0000010.tmp"));
  EXPECT_EQ(take_resume_point(path("a")), "") << "killed while it wrote its first one";
  const auto expect_refused = [&](const std::string& what) {
    const std::string before = names_in(path("a"));
    EXPECT_THAT(user_error([&] { take_resume_point(path("a")); }),
                AllOf(StartsWith("65 " + path("a")), HasSubstr(what), HasSubstr("--resume restart")));
    EXPECT_EQ(names_in(path("a")), before);
  };
  for (const int64_t step : {10, 20}) flip(write_now(path("a"), step) + "/model.h5", 5000);
  expect_refused("none of its checkpoints is whole (2 damaged; the newest: " + path("a/step-0000020/model.h5"));
  fs::remove_all(path("a/step-0000010"));
  fs::rename(path("a/step-0000020"), path("a/step-0000020.damaged"));
  expect_refused("holds step-0000020.damaged, but no checkpoint to continue from");
  fs::remove_all(path("a/step-0000020.damaged"));
  write_file_atomically(path("a/latest"), "step-0000020\n");
  expect_refused("holds latest");
  drop_optimizer(write_now(path("a"), 5, 0.5));
  expect_refused("no checkpoint here has its optimizer any more");
}

// Linux gives EIO for the first byte of /proc/self/mem.
TEST_F(CheckpointFiles, WhatCannotBeReadNowIsNotTakenForDamage) {
  write_now(path("a"), 10);
  const std::string manifest = write_now(path("a"), 20) + "/manifest.json";
  fs::rename(manifest, path("aside"));
  fs::create_symlink("/proc/self/mem", manifest);
  EXPECT_THAT(user_error([&] { take_resume_point(path("a")); }),
              AllOf(StartsWith("74 " + manifest), HasSubstr("Input/output error"), HasSubstr("nothing was changed")));
  EXPECT_THROW(verify_checkpoint(path("a/step-0000020")), ReadError);
  EXPECT_THROW(resolve_checkpoint(path("a")), ReadError);
  EXPECT_EQ(names_in(path("a")), "step-0000010 step-0000020");
  fs::rename(path("aside"), manifest);
  fs::create_symlink("/proc/self/mem", path("a/best"));
  EXPECT_THAT(user_error([&] { resolve_checkpoint(path("a")); }), StartsWith("74 "));
}

TEST_F(CheckpointFiles, ADivergedOneIsSetAsideAndTheLastGoodOneNamed) {
  for (const int64_t step : {3, 6, 9, 12}) write_now(path("a"), step, step == 12 ? 0.9 : 0.1);
  drop_optimizer(path("a/step-0000006"));
  name_checkpoints(path("a"), 1);
  EXPECT_EQ(read_file(path("a/best")), "step-0000012\n");
  EXPECT_EQ(drop_diverged(path("a"), 9, 1), path("a/step-0000003"));
  EXPECT_EQ(names_in(path("a")), "best latest step-0000003 step-0000006 step-0000009.diverged step-0000012.diverged");
  EXPECT_EQ(read_file(path("a/best")), "step-0000003\n");
  EXPECT_EQ(read_file(path("a/latest")), "step-0000006\n");
  EXPECT_EQ(drop_diverged(path("none"), 9, 1), "");
}

TEST_F(CheckpointFiles, PruningKeepsTheNewestThatIsKnownToBeGood) {
  for (const int64_t step : {1, 2, 3, 4}) write_now(path("a"), step);
  EXPECT_THAT(prune_checkpoints(path("a"), 1, 0, 3), ElementsAre("step-0000003", "step-0000001"));
  EXPECT_EQ(names_in(path("a/step-0000002")), "manifest.json model.h5 optimizer.h5");
  EXPECT_THAT(prune_checkpoints(path("a"), 1, 0), ElementsAre("step-0000002"));
}

TEST_F(CheckpointFiles, ARunWithoutScoresStandsForItsNewest) {
  const std::string run = path("run"), checkpoints = run + "/checkpoints";
  EXPECT_THAT(user_error([&] { resolve_checkpoint(run); }), AllOf(StartsWith("66 "), HasSubstr("no such run")));
  fs::create_directories(checkpoints);
  EXPECT_THAT(user_error([&] { resolve_checkpoint(run); }), AllOf(StartsWith("66 "), HasSubstr("holds no checkpoint")));
  for (const int64_t step : {1, 2, 3}) write_now(checkpoints, step);
  name_checkpoints(checkpoints, 1);
  EXPECT_EQ(resolve_quietly(run + "/"), checkpoints + "/step-0000003");
  EXPECT_EQ(resolve_quietly(checkpoints + "/step-0000002/"), checkpoints + "/step-0000002");
  for (const char* latest : {"step-0000002\n", "step-0000099\n", "stfp-0000003\n", ""}) {
    write_file_atomically(checkpoints + "/latest", latest);
    EXPECT_THAT(resolve_with_warning(run), AllOf(HasSubstr("latest"), HasSubstr("step-0000003, is taken"))) << latest;
  }
  write_file_atomically(checkpoints + "/best", "step-0000001\n");  // by hand
  EXPECT_EQ(resolve_quietly(run), checkpoints + "/step-0000001");
  for (const char* best : {"step-0000099\n", "xtep-0000001\n", "", "\n", "step-0000001x"}) {
    write_file_atomically(checkpoints + "/best", best);
    EXPECT_THAT(user_error([&] { resolve_checkpoint(run); }),
                AllOf(StartsWith("65 " + checkpoints + "/best"), HasSubstr("step-0000003, or remove it")))
        << best;
  }
}

TEST_F(CheckpointFiles, TheScoresOfTheCheckpointsDecideWhichIsTheBest) {
  const std::string run = path("run"), checkpoints = run + "/checkpoints";
  for (const auto& [step, score] : {std::pair{1, 0.5}, {2, 0.75}, {3, 0.25}}) write_now(checkpoints, step, score);
  name_checkpoints(checkpoints, 1);
  EXPECT_EQ(read_file(checkpoints + "/best"), "step-0000002\n");
  EXPECT_EQ(read_file(checkpoints + "/latest"), "step-0000003\n");
  EXPECT_EQ(resolve_quietly(run), checkpoints + "/step-0000002");
  const std::string whole = read_file(checkpoints + "/best");
  for (size_t at = 0; at + 1 < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      write_file_atomically(checkpoints + "/best", flipped);
      EXPECT_THAT(resolve_with_warning(run), HasSubstr("step-0000002 is taken")) << at << " " << bit;
    }
  for (const char* best : {"", "step-0000001\n", "step-0000099\n"}) {
    write_file_atomically(checkpoints + "/best", best);
    EXPECT_THAT(resolve_with_warning(run), HasSubstr("step-0000002 is taken")) << best;
  }
  fs::remove(checkpoints + "/best");
  EXPECT_THAT(resolve_with_warning(run), HasSubstr("best is missing"));
  // a damaged one is not passed over: opening it fails
  write_file_atomically(checkpoints + "/best", whole);
  flip(checkpoints + "/step-0000002/manifest.json", 40);
  testing::internal::CaptureStderr();
  EXPECT_THAT(user_error([&] { open_checkpoint(run); }), AllOf(StartsWith("65 "), HasSubstr("step-0000002")));
  testing::internal::GetCapturedStderr();
}

// A run with checkpoint.keep_best = 0 names none, though its checkpoints have scores.
TEST_F(CheckpointFiles, WhereNoBestIsKeptTheNewestIsTaken) {
  const std::string run = path("run"), checkpoints = run + "/checkpoints";
  for (const int64_t step : {1, 2}) {
    const Sample sample(step);
    CheckpointContent content = sample.content();
    content.score = 1.0 / static_cast<double>(step);
    content.manifest["config"] = "checkpoint.keep_last = 2\ncheckpoint.keep_best = 0\n";
    const std::string folder = checkpoints + "/" + checkpoint_name(step);
    fs::create_directories(folder + ".tmp");
    commit_checkpoint(folder + ".tmp", folder, content, write_checkpoint_files(folder + ".tmp", content));
  }
  name_checkpoints(checkpoints, 0);
  EXPECT_EQ(resolve_quietly(run), checkpoints + "/step-0000002");
}

// A training that keeps one checkpoint deletes, replaces and shortens them while others look: what they find is whole.
TEST_F(CheckpointFiles, LookingWhileATrainingPrunes) {
  const std::string folder = path("c");
  write_now(folder, 1, 0.5);
  name_checkpoints(folder, 1);
  std::atomic<bool> done = false;
  std::jthread training([&] {
    for (int64_t step = 2; step <= 120; ++step) {
      const std::string name = write_now(folder, step, step % 7 == 0 ? 1.0 + 1e-3 * static_cast<double>(step) : 0.1);
      if (step % 5 == 0) write_now(folder, step, 0.2);  // again, as after an evaluation that a stop left out
      name_checkpoints(folder, 1);
      prune_checkpoints(folder, 1, 1);
    }
    done = true;
  });
  testing::internal::CaptureStderr();  // the pointers may be behind for a moment
  int looks = 0;
  for (; !done; ++looks) {
    const Checkpoint checkpoint = open_checkpoint(folder);
    Sample wanted(checkpoint.step()), got(-1);
    std::this_thread::sleep_for(std::chrono::milliseconds(looks % 5));  // it may be deleted now
    checkpoint.load_model(got.model_targets());
    EXPECT_EQ(got.model_[0].values, wanted.model_[0].values);
    if (checkpoint.manifest().has_optimizer()) {
      EXPECT_EQ(checkpoint.train_state().at("step"), checkpoint.step());
    }
    for (const std::string& name : hyperx::names_in(folder))
      if (step_of_name(name)) {
        const auto problems = verify_checkpoint(folder + "/" + name);
        EXPECT_TRUE(problems.empty() || !fs::exists(folder + "/" + name)) << problems.front();
      }
  }
  testing::internal::GetCapturedStderr();
  std::printf("looked %d times\n", looks);
}

}  // namespace
}  // namespace hyperx::train
