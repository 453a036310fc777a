#include "trainer/checkpoint/checkpoint.h"

#include <gmock/gmock.h>

#include "common/errors.h"
#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {
namespace {

using test::user_error;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class CheckpointFiles : public FolderTest {};

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

TEST_F(CheckpointFiles, RunStandsForBestThenLatest) {
  const std::string run = path("run"), checkpoints = run + "/checkpoints";
  EXPECT_THAT(user_error([&] { resolve_checkpoint(run); }), AllOf(StartsWith("66 "), HasSubstr("no such run")));
  fs::create_directories(checkpoints);
  EXPECT_THAT(user_error([&] { resolve_checkpoint(run); }), AllOf(StartsWith("66 "), HasSubstr("holds no checkpoint")));
  for (const int64_t step : {1, 2, 3}) write_now(checkpoints, step);
  EXPECT_EQ(resolve_checkpoint(run + "/"), checkpoints + "/step-0000003");
  write_file_atomically(checkpoints + "/latest", "step-0000002\n");
  EXPECT_EQ(resolve_checkpoint(run), checkpoints + "/step-0000002");
  write_file_atomically(checkpoints + "/best", "step-0000001\n");
  EXPECT_EQ(resolve_checkpoint(run), checkpoints + "/step-0000001");
  EXPECT_EQ(resolve_checkpoint(checkpoints + "/step-0000003/"), checkpoints + "/step-0000003");
  write_file_atomically(checkpoints + "/best", "step-0000099\n");  // gone
  EXPECT_EQ(resolve_checkpoint(run), checkpoints + "/step-0000002");
}

}  // namespace
}  // namespace hyperx::train
