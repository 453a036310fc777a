#include "common/files.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <thread>

#include "common/digest.h"
#include "common/errors.h"
#include "common/hdf5/hdf5_file.h"
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

// Each would hang or fill the memory if it were read.
TEST(ReadFile, OnlyRegularFilesAreOpened) {
  const test::TemporaryFolder folder;
  ASSERT_EQ(::mkfifo(folder.path("pipe").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder.path("link"));
  fs::create_symlink("nowhere", folder.path("dangling"));
  for (const auto& [name, words] : {std::pair{"pipe", "is a pipe"},
                                    {"link", "is a device"},
                                    {"", "is a folder"},
                                    {"dangling", "No such file"},
                                    {"missing", "No such file"}}) {
    const std::string path = *name == '\0' ? folder.path() : folder.path(name);
    const auto expected = testing::AllOf(testing::StartsWith("66 " + path), HasSubstr(words));
    EXPECT_THAT(test::user_error([&] { read_file(path); }), expected);
    EXPECT_THAT(test::user_error([&] { MappedFile{path}; }), expected);
    EXPECT_THAT(test::user_error([&] { xxh128_of_file(path); }), expected);
    EXPECT_THAT(test::user_error([&] { sha256_of_file(path); }), expected);
    EXPECT_THAT(test::user_error([&] { h5::File::open(path); }), testing::StartsWith("66 " + path));
  }
}

TEST(ReadFile, APipeOfTheShellIsRead) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "train.steps = 4", 15), 15);
  ::close(ends[1]);
  EXPECT_EQ(read_file("/dev/fd/" + std::to_string(ends[0])), "train.steps = 4");
  ::close(ends[0]);
}

TEST(ReadFile, ALargerFileThanAnyTextIsRefused) {
  const test::TemporaryFolder folder;
  folder.write("large", "");
  fs::resize_file(folder.path("large"), uint64_t{1} << 40);
  EXPECT_THAT(test::user_error([&] { read_file(folder.path("large")); }),
              testing::AllOf(testing::StartsWith("65 "), HasSubstr("large: is larger than")));
}

TEST(PlainName, IsANameWithinAFolder) {
  for (const char* name : {"model.h5", "..x", "a b"}) EXPECT_TRUE(is_plain_name(name)) << name;
  for (const char* name : {"", ".", "..", "../a", "a/b", "/a"}) EXPECT_FALSE(is_plain_name(name)) << name;
  EXPECT_FALSE(is_plain_name(std::string_view("a\0b", 3)));
}

// Also where a thread that is not the main one reads it.
TEST(MappedFileDeathTest, AFileThatIsCutShortIsNamed) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("corpus.h5", std::string(100'000, 'x'));
  const auto read_cut_file = [&] {
    const MappedFile other(folder.write("other", "y"));
    const MappedFile file(path);
    fs::resize_file(path, 100);
    std::thread([&] { std::printf("%c", file.view()[90'000]); }).join();
  };
  EXPECT_EXIT(read_cut_file(), testing::ExitedWithCode(74), "hyperx: " + path + ": cannot be read any more");
}

TEST(MappedFileDeathTest, AnotherSigbusEndsAsBefore) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("mine", std::string(100'000, 'x'));
  const auto raise_other = [&] {
    { const MappedFile gone(path); }
    ::raise(SIGBUS);
    ::raise(SIGBUS);
  };
  EXPECT_EXIT(
      raise_other(), [](int status) { return WIFSIGNALED(status); }, "");  // AddressSanitizer ends with SIGABRT
}

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
