// evaluate --watch beside trainings that write, prune, stop and end.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class WatchTest : public SystemTest {
 protected:
  static Arguments watch_line(const std::string& folder, const Arguments& more = {}) {
    Arguments line = {"evaluate", folder,         "--watch", "--train.precision", "fp32", "--threads",
                      "1",        "--look-every", "0.2",     "--eval.split",      "test"};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }
  // Names of the result files of a run: "step-0000004/test/pos.en.json".
  std::set<std::string> results(const std::string& run) const {
    std::set<std::string> names;
    const std::string folder = path(run) + "/results";
    if (!fs::exists(folder)) return names;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.path().extension() == ".json") names.insert(fs::relative(entry.path(), folder));
    return names;
  }
};

const Options kThreeCheckpoints = {
    {"train.steps", "12"}, {"checkpoint.every", "4"}, {"checkpoint.keep_last", "9"}, {"train.pairs", "pos:en,ner:en"}};

TEST_F(WatchTest, ScoresEveryCheckpointOfRunsThatTrain) {
  make_folders(path("watch-output"));
  train(1, "one", kThreeCheckpoints);
  Job training(0, train_line("two", kThreeCheckpoints), path(""));
  ASSERT_TRUE(training.wait_until([&] { return fs::exists(path("two") + "/state.json"); }));
  Job watcher(2, watch_line(path(""), {"--eval.pairs", "pos:*,ner:*"}), path("watch-output"));
  EXPECT_EQ(training.wait().code, 0);
  const Outcome outcome = watcher.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  for (const char* run : {"one", "two"}) {
    const auto found = results(run);
    for (const char* step : {"step-0000004", "step-0000008", "step-0000012"})
      for (const char* pair : {"pos.en", "ner.en"})
        EXPECT_TRUE(found.contains(std::string(step) + "/test/" + pair + ".json")) << run << " " << step << " " << pair;
  }
  EXPECT_THAT(outcome.errors, HasSubstr("2 runs, 6 checkpoints"));
  EXPECT_THAT(outcome.errors, HasSubstr("0 checkpoints were pruned"));

  // The same scores as evaluate gives for one checkpoint, by any number of ranks.
  const json watched = json::parse(read_file(path("one") + "/results/step-0000008/test/pos.en.json"));
  ASSERT_EQ(run(1, {"evaluate", checkpoint("one", 8), "--train.precision", "fp32", "--threads", "1", "--eval.split",
                    "test", "--force", "--eval.pairs", "pos:en"})
                .code,
            0);
  EXPECT_EQ(json::parse(read_file(path("one") + "/results/step-0000008/test/pos.en.json")), watched);

  const Outcome again = run(0, watch_line(path(""), {"--eval.pairs", "pos:*,ner:*"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.errors,
              HasSubstr("0 results written, " + std::to_string(results("one").size() * 2) + " were there"));
}

TEST_F(WatchTest, CountsWhatIsPrunedAndOutlastsDamage) {
  Options options = kThreeCheckpoints;
  options["checkpoint.keep_last"] = "1";
  options["checkpoint.keep_best"] = "0";
  train(0, "run", options);
  fs::copy(checkpoint("run", 12), checkpoint("run", 9), fs::copy_options::recursive);
  fs::resize_file(checkpoint("run", 9) + "/model.h5", 1000);
  const Outcome outcome = run(0, watch_line(path("run")));
  EXPECT_EQ(outcome.code, 65) << outcome.errors;
  EXPECT_THAT(outcome.errors, HasSubstr("2 checkpoints were pruned before they could be scored, 1 are unreadable"));
  EXPECT_TRUE(results("run").contains("step-0000012/test/pos.en.json"));
}

TEST_F(WatchTest, ASignalEndsItAfterTheScoresInWork) {
  Options endless = kThreeCheckpoints;
  endless["train.steps"] = "100000";
  Job training(0, train_line("run", endless), path(""));
  ASSERT_TRUE(training.wait_until([&] { return fs::exists(checkpoint("run", 4)); }));
  make_folders(path("watch-output"));
  Job watcher(0, watch_line(path("run")), path("watch-output"));
  ASSERT_TRUE(watcher.wait_until([&] { return !results("run").empty(); }));
  watcher.send(SIGUSR1);
  const Outcome outcome = watcher.wait();
  EXPECT_EQ(outcome.code, 75) << outcome.errors;
  EXPECT_TRUE(training.running());
  EXPECT_FALSE(fs::exists(path("run") + "/watch/lock"));
}

TEST_F(WatchTest, MistakesAreNamed) {
  EXPECT_EQ(run(0, watch_line(path("nowhere"))).code, 66);
  train(0, "run", kThreeCheckpoints);
  const Outcome checkpoint_given = run(0, watch_line(checkpoint("run", 12)));
  EXPECT_EQ(checkpoint_given.code, 64);
  EXPECT_THAT(checkpoint_given.errors, HasSubstr("is a checkpoint; --watch wants its run"));
  EXPECT_EQ(run(0, watch_line(path("run"), {"--eval.limit", "5"})).code, 78);
  EXPECT_EQ(run(0, train_line("other", {{"eval.split", "both"}})).code, 78);
}

}  // namespace
}  // namespace hyperx::testing_system
