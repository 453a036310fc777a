#include "common/config/stored_paths.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "model/options.h"
#include "tests/support/folder.h"

namespace hyperx::config {
namespace {

namespace fs = std::filesystem;

class StoredPathsTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    make_folders(project() + "/runs/a");
    make_folders(project() + "/corpus");
    make_folders(folder_.path("other"));
    fs::current_path(project());
  }
  void TearDown() override { fs::current_path(before_); }
  std::string project() const { return fs::canonical(folder_.path("")).string() + "/project"; }

  test::TemporaryFolder folder_;
  fs::path before_;
};

TEST_F(StoredPathsTest, WhatLiesInTheWorkingFolderIsRelativeToTheRun) {
  for (const std::string& path : {std::string("corpus"), std::string("./corpus/"), project() + "/corpus"})
    EXPECT_EQ(stored_path(path, "runs/a"), "../../corpus") << path;
  EXPECT_EQ(stored_path("runs/a", "runs/a/"), ".");
  EXPECT_EQ(stored_path("not/there", "runs/a"), "../../not/there");
  EXPECT_EQ(stored_path("../other", "runs/a"), fs::path(project()).parent_path().string() + "/other");
  EXPECT_EQ(stored_path("corpus", "../other"), project() + "/corpus") << "the run lies outside";
  EXPECT_EQ(stored_path("../oth#er", "runs/a"), "../oth#er");
  fs::current_path("/");
  EXPECT_EQ(stored_path(project() + "/corpus", project() + "/runs/a"), project() + "/corpus") << "/ is no project";
}

TEST_F(StoredPathsTest, AndIsFoundFromAnywhere) {
  const std::string run = project() + "/runs/a";
  EXPECT_EQ(path_of_stored("../../corpus", run), project() + "/corpus");
  EXPECT_EQ(path_of_stored(".", run), run);
  EXPECT_EQ(path_of_stored("/somewhere", run), "/somewhere");
  EXPECT_EQ(path_of_stored("corpus", run), "corpus") << "as version 0.2.0 stored it";
  fs::current_path("/");
  EXPECT_EQ(path_of_stored("../../corpus", run), project() + "/corpus");
  EXPECT_EQ(path_of_stored("../../gone", run), project() + "/gone");
}

TEST_F(StoredPathsTest, EveryKindOfOptionWithPaths) {
  const auto changed = [](const char* key, const std::string& text) {
    return with_paths(*model::options().find(key), text, [](const std::string& path) { return "<" + path + ">"; });
  };
  EXPECT_EQ(changed("data.corpus", "a,b"), "<a,b>");
  EXPECT_EQ(changed("data.corpus", ""), "");
  EXPECT_EQ(changed("model.encoder", "random:a"), "random:<a>");
  EXPECT_EQ(changed("model.encoder", "a"), "<a>");
  EXPECT_EQ(changed("madx.language_adapters", " a , b/c,"), "<a>,<b/c>");
  EXPECT_EQ(changed("train.pairs", "a"), "a");
}

}  // namespace
}  // namespace hyperx::config
