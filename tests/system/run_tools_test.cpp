// What one does with finished and running runs: status, diff, prune, TensorBoard; and doctor before them.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class RunToolsTest : public SystemTest {
 protected:
  json status_of(const std::string& folder) const { return json::parse(run(0, {"status", folder, "--json"}).output); }
};

TEST_F(RunToolsTest, StatusDiffAndPruneOfRealRuns) {
  const Options often = {{"train.steps", "8"}, {"checkpoint.every", "2"}, {"checkpoint.keep_last", "9"}};
  train(0, "runs/one", often);
  Options other = often;
  other["train.seed"] = "2";  // and with it another random encoder
  other["train.init_from"] = path("runs/one/checkpoints/step-0000004");
  train(0, "runs/sweep/two", other);
  fs::copy(path("runs/one"), path("runs/damaged"), fs::copy_options::recursive);
  write_file_atomically(path("runs/damaged/state.json"), "{\"state\": ");

  const Outcome status = run(0, {"status", path("runs")});
  EXPECT_EQ(status.code, 0);
  EXPECT_THAT(status.output, HasSubstr("3 runs: 1 damaged, 2 finished\ndamaged  " + path("runs/damaged") + ": "));
  EXPECT_EQ(status_of(path("runs")).size(), 3);
  EXPECT_THAT(run(0, {"status", path("runs"), "--state", "finished"}).output, Not(HasSubstr("damaged")));
  EXPECT_EQ(run(0, {"status", path("runs"), "--state", "done"}).code, 64);

  const Outcome difference = run(0, {"diff", path("runs/one"), path("runs/sweep/two")});
  EXPECT_THAT(difference.output, AllOf(HasSubstr("train.seed"), HasSubstr("train.init_from"),
                                       HasSubstr("3 differences affect the result")));
  train(0, "runs/again", often);
  EXPECT_THAT(run(0, {"diff", path("runs/one"), path("runs/again")}).output,
              HasSubstr("no difference in what affects the result"));

  const Outcome shown = run(0, {"prune", path("runs/one"), "--keep-last", "1"});
  EXPECT_THAT(shown.output, AllOf(HasSubstr("used by " + path("runs/sweep/two")), HasSubstr("add --yes")));
  EXPECT_TRUE(fs::exists(checkpoint("runs/one", 2)));
  const Outcome pruned = run(0, {"prune", path("runs"), "--keep-last", "1", "--yes"});
  EXPECT_EQ(pruned.code, 0) << pruned.errors;
  for (const int64_t step : {2, 6}) EXPECT_FALSE(fs::exists(checkpoint("runs/one", step)));
  for (const int64_t step : {4, 8}) EXPECT_TRUE(fs::exists(checkpoint("runs/one", step)));
  EXPECT_TRUE(fs::exists(checkpoint("runs/damaged", 2)));
  EXPECT_EQ(run(0, {"verify", path("runs/one"), path("runs/sweep/two")}).code, 0);
  train(0, "runs/one", {{"train.steps", "10"}}, {"--resume", "auto"});  // it is still a run
}

TEST_F(RunToolsTest, PruneLeavesARunningTrainingAloneAndFindsItLostAfterItsDeath) {
  Job training(0,
               train_line("run", {{"train.steps", "100000"}, {"checkpoint.every", "2"}, {"checkpoint.keep_last", "9"}}),
               path(""));
  ASSERT_TRUE(training.wait_until([&] { return fs::exists(checkpoint("run", 8)); }));
  EXPECT_EQ(status_of(path("run"))[0].at("state"), "running");
  const Outcome refused = run(0, {"prune", path("run"), "--keep-last", "1", "--yes"});
  EXPECT_THAT(refused.output, HasSubstr("left as it is: it is running"));
  EXPECT_TRUE(fs::exists(checkpoint("run", 2)) || fs::exists(checkpoint("run", 4)));
  training.kill_all();
  EXPECT_EQ(status_of(path("run"))[0].at("state"), "lost");
  EXPECT_THAT(run(0, {"status", path("run")}).output, HasSubstr("is gone without a word"));
  EXPECT_EQ(run(0, {"prune", path("run"), "--keep-last", "1", "--yes"}).code, 0);
  EXPECT_EQ(run(0, {"verify", path("run")}).code, 0);
}

TEST_F(RunToolsTest, TensorboardReadsWhatMetricsHold) {
  const char* const python = std::getenv("HYPERX_TEST_PYTHON");
  if (python == nullptr ||
      std::system((std::string(python) + " -c 'import tensorboard' 2> " + path("none")).c_str()) != 0)
    GTEST_SKIP() << "HYPERX_TEST_PYTHON names no Python with the package `tensorboard` (launch/setup --dev makes one)";
  const Options base = {{"eval.every", "4"}, {"eval.limit", "20"}, {"eval.pairs", "pos:en"}, {"checkpoint.every", "4"}};
  const auto with = [&](Options more) {
    more.insert(base.begin(), base.end());
    return more;
  };
  const auto check = [&] {
    const std::string command = std::string(python) + " " + HYPERX_SOURCE_DIR + "/tests/tools/check_tensorboard.py " +
                                path("run") + " > " + path("report") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(path("report"));
  };
  train(0, "run", with({{"train.steps", "6"}}));
  EXPECT_FALSE(fs::exists(path("run/tensorboard")));
  train(2, "run", with({{"train.steps", "12"}, {"run.tensorboard", "yes"}}), {"--resume", "auto"});
  check();  // with the history of the first start
  Job killed(0, train_line("run", with({{"train.steps", "100000"}, {"run.tensorboard", "yes"}})), path(""));
  killed.kill_all();
  Arguments again = train_line("run", with({{"train.steps", "100000"}, {"run.tensorboard", "yes"}}));
  again.insert(again.end(), {"--resume", "auto"});
  Job longer(0, again, path(""));
  ASSERT_TRUE(longer.wait_until([&] { return fs::exists(checkpoint("run", 16)); }));
  longer.kill_all();  // steps after its last checkpoint are run again
  train(0, "run", with({{"train.steps", "30"}, {"run.tensorboard", "yes"}}), {"--resume", "auto"});
  check();
}

TEST_F(RunToolsTest, DoctorSaysWhatIsWrong) {
  const Outcome well = run(2, {"doctor", path(""), "--seconds", "1", "--json"});
  EXPECT_EQ(well.code, 0) << well.output << well.errors;
  const json found = json::parse(well.output);
  EXPECT_EQ(found.at("ranks").size(), 2);
  EXPECT_EQ(found.at("all_reduce").at(0).at("bytes"), 1 << 20);
  EXPECT_GT(found.at("links").at(0).at("bytes_per_second").get<double>(), 0);
  EXPECT_TRUE(found.at("ranks").at(0).at("disk").at("flock_works"));

  const Outcome missing = run(2, {"doctor", path("missing"), "--seconds", "1"});
  EXPECT_EQ(missing.code, 69);
  EXPECT_THAT(missing.output, HasSubstr("no such folder"));

  setenv("SLURM_NTASKS", "4", 1);  // as srun without --mpi=pmix would
  const Outcome separate = run(0, {"doctor", path("")});
  unsetenv("SLURM_NTASKS");
  EXPECT_EQ(separate.code, 69);
  EXPECT_THAT(separate.output, HasSubstr("SLURM_NTASKS=4, but MPI sees 1 rank: each would train alone"));
  for (const auto& entry : fs::directory_iterator(path("")))
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("hyperx-doctor")));
}

}  // namespace
}  // namespace hyperx::testing_system
