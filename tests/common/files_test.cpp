#include "common/files.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "common/errors.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Files, AGitLfsPointerIsNotTakenForTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("vocab.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n");
  const std::string expected =
      "65 " + path + ": a Git LFS pointer in place of the file: fetch the file itself, as by `git lfs pull`";
  EXPECT_EQ(test::user_error([&] { read_file(path); }), expected);
  EXPECT_EQ(test::user_error([&] { MappedFile file(path); }), expected);
}

// `may_exchange`: as on a file system that can exchange two names, and on one that cannot.
class ReplaceFolder : public testing::TestWithParam<bool> {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  void make(const std::string& name, const std::string& content) const {
    fs::create_directories(path(name));
    write_file_atomically(path(name) + "/file", content);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  test::TemporaryFolder folder_;
};

TEST_P(ReplaceFolder, TheNewOneStandsAlone) {
  make("new", "first");
  replace_folder(path("new"), path("corpus"), GetParam());
  EXPECT_EQ(read_file(path("corpus/file")), "first");
  make("new", "second");
  write_file_atomically(path("corpus/more"), "of the former one alone");
  replace_folder(path("new"), path("corpus"), GetParam());
  EXPECT_EQ(read_file(path("corpus/file")), "second");
  EXPECT_FALSE(fs::exists(path("corpus/more")));
  EXPECT_THAT(names(), ElementsAre("corpus"));
}

TEST_P(ReplaceFolder, WhatSomebodyElseNamedOldStays) {
  for (const char* other : {"corpus.old", "corpus.old.tmp"}) make(other, "another's");
  make("corpus", "former");
  make("new", "new");
  replace_folder(path("new"), path("corpus"), GetParam());
  EXPECT_EQ(read_file(path("corpus/file")), "new");
  for (const char* other : {"corpus.old/file", "corpus.old.tmp/file"}) EXPECT_EQ(read_file(path(other)), "another's");
}

TEST_P(ReplaceFolder, TheFormerOneStandsWhereTheNewOneCannot) {
  make("corpus", "former");
  try {
    replace_folder(path("missing"), path("corpus"), GetParam());
    FAIL() << "a folder that is missing took its place";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing: cannot be renamed to " + path("corpus")));
  }
  EXPECT_EQ(read_file(path("corpus/file")), "former");
  EXPECT_THAT(names(), ElementsAre("corpus"));
}

INSTANTIATE_TEST_SUITE_P(Ways, ReplaceFolder, testing::Bool());

TEST(DeadTemporaries, OnlyThoseOfEndedProcessesAreRemoved) {
  const test::TemporaryFolder folder;
  const std::string alive = "a.json." + std::to_string(::getpid()) + ".tmp";
  for (const std::string& name :
       {std::string("a.json.4194305.tmp"), alive, std::string("a.tmp"), std::string("4194305.tmp"),
        std::string("a.json.41x.tmp"), std::string("a.json.4194305")})
    folder.write(name, "half");
  fs::create_directory(folder.path("folder.4194305.tmp"));
  remove_dead_temporaries(folder.path());
  remove_dead_temporaries(folder.path("missing"));
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path())) names.insert(entry.path().filename().string());
  EXPECT_EQ(names, (std::set<std::string>{alive, "a.tmp", "4194305.tmp", "a.json.41x.tmp", "a.json.4194305",
                                          "folder.4194305.tmp"}));
}

}  // namespace
}  // namespace hyperx
