// A run finds its corpus and encoder from any working folder, and after the project has been moved.
#include <gmock/gmock.h>

#include <filesystem>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MovedProjectTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    before_ = fs::current_path();
    fs::create_directories(path("project/runs"));
    fs::copy(encoder(), path("project/encoder"));
    fs::copy(corpus(), path("project/corpus"));
    train_in_project("a", "corpus");
  }
  void TearDown() override {
    fs::current_path(before_);
    SystemTest::TearDown();
  }

  // From the project's folder, with relative paths.
  void train_in_project(const std::string& name, const std::string& corpus) const {
    fs::current_path(path("project"));
    train(0, name,
          {{"train.steps", "2"},
           {"train.pairs", "pos:mt"},
           {"run.dir", "runs/" + name},
           {"data.corpus", corpus},
           {"model.encoder", "random:./encoder"}});
    fs::current_path("/");
  }
  Outcome evaluate(const std::string& run_folder) const {
    return run(0,
               {"evaluate", run_folder, "--eval.split", "test", "--eval.pairs", "pos:mt", "--threads", "1", "--force"});
  }
  Outcome resume(const std::string& run_folder) const {
    return run(0, {"train", "--config", run_folder + "/config.conf", "--resume", "auto", "--train.steps", "4"});
  }

  fs::path before_;
};

TEST_F(MovedProjectTest, TheRunWorksFromAnotherFolderAndFromAnotherPlace) {
  EXPECT_EQ(evaluate(path("project/runs/a")).code, 0);
  fs::rename(path("project"), path("elsewhere"));
  const Outcome evaluated = evaluate(path("elsewhere/runs/a"));
  EXPECT_EQ(evaluated.code, 0) << evaluated.errors;
  const Outcome resumed = resume(path("elsewhere/runs/a"));
  EXPECT_EQ(resumed.code, 0) << resumed.errors;
  EXPECT_TRUE(fs::exists(path("elsewhere/runs/a/checkpoints/step-0000004")));
  EXPECT_FALSE(fs::exists(path("project"))) << "nothing is written where the run was";
}

TEST_F(MovedProjectTest, WhatIsGoneIsNamedWithTheOptionThatReplacesIt) {
  fs::rename(path("project/corpus"), path("corpus-elsewhere"));
  Outcome outcome = evaluate(path("project/runs/a"));
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.errors,
              HasSubstr(path("project/corpus") + ": the corpus that the model was trained on is not there"));
  EXPECT_THAT(outcome.errors, HasSubstr("--data.corpus"));
  fs::rename(path("project/encoder"), path("encoder-elsewhere"));
  outcome = evaluate(path("project/runs/a"));
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.errors, HasSubstr(path("project/encoder") + ": the encoder that"));
  EXPECT_THAT(outcome.errors, HasSubstr("--model.encoder"));
}

// A folder whose name no settings file can hold.
TEST_F(MovedProjectTest, ANameWithAHashIsNoObstacle) {
  fs::rename(path("project"), path("pro#ject"));
  fs::rename(path("pro#ject/corpus"), path("cor#pus"));
  fs::create_directory(path("project"));
  fs::rename(path("pro#ject"), path("project/in#side"));
  const Outcome evaluated =
      run(0, {"evaluate", path("project/in#side/runs/a"), "--eval.split", "test", "--threads", "1"});
  EXPECT_EQ(evaluated.code, 66) << evaluated.errors;
  EXPECT_THAT(evaluated.errors, HasSubstr("project/in#side/corpus: the corpus that"));
  fs::rename(path("cor#pus"), path("project/in#side/corpus"));
  EXPECT_EQ(evaluate(path("project/in#side/runs/a")).code, 0);
  const Outcome resumed = resume(path("project/in#side/runs/a"));
  EXPECT_EQ(resumed.code, 0) << resumed.errors;
}

// What the user gives from outside the project stays where it is.
TEST_F(MovedProjectTest, APathOutsideTheProjectIsStoredWhole) {
  fs::rename(path("project/corpus"), path("corpus"));
  train_in_project("b", "../corpus");
  EXPECT_THAT(read_file(path("project/runs/b/config.conf")),
              HasSubstr("corpus = " + fs::canonical(path("corpus")).string()));
  fs::rename(path("project"), path("elsewhere"));
  const Outcome evaluated = evaluate(path("elsewhere/runs/b"));
  EXPECT_EQ(evaluated.code, 0) << evaluated.errors;
}

}  // namespace
}  // namespace hyperx::testing_system
