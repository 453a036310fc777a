#include "common/new_folder.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;

class NewFolderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  test::TemporaryFolder folder_;
};

TEST_F(NewFolderTest, AppearsWithAllItsFiles) {
  NewFolder folder(path("a/b///"));
  EXPECT_EQ(folder.path(), path("a/b"));
  OutputFile file(folder.temporary() + "/file");
  file.write("one ");
  file.write("two");
  file.finish();
  EXPECT_FALSE(fs::exists(path("a/b")));
  folder.commit();
  EXPECT_EQ(read_file(path("a/b/file")), "one two");
  EXPECT_FALSE(fs::exists(folder.temporary()));
}

TEST_F(NewFolderTest, LeavesNothingWithoutCommit) {
  {
    const NewFolder folder(path("a"));
    write_file_atomically(folder.temporary() + "/file", "text");
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(NewFolderTest, WhatIsThereIsRefusedAndStays) {
  folder_.write("file", "text");
  fs::create_symlink("nowhere", path("link"));
  for (const char* name : {"", "/", "file", "link", "link/"})
    EXPECT_THAT(test::user_error([&] { NewFolder folder(path("x") + "/../" + name); }),
                testing::AllOf(testing::StartsWith("73 "), testing::HasSubstr("exists already")))
        << name;
  EXPECT_EQ(read_file(path("file")), "text");

  const std::string temporary = path("a") + "." + std::to_string(getpid()) + ".tmp";
  folder_.write("a." + std::to_string(getpid()) + ".tmp/file", "another's");
  EXPECT_EQ(test::user_error([&] { NewFolder folder(path("a")); }),
            "73 " + temporary + " is in the way, left by a process that was killed; remove it");
  EXPECT_EQ(read_file(temporary + "/file"), "another's");
}

TEST_F(NewFolderTest, OneThatAppearedMeanwhileStays) {
  NewFolder folder(path("a"));
  folder_.write("a/file", "another's");
  EXPECT_EQ(test::user_error([&] { folder.commit(); }),
            "73 " + path("a") + " exists already; remove it, or name another folder");
  EXPECT_EQ(read_file(path("a/file")), "another's");
}

TEST(OutputFile, AFullDiskIsAnError) {
  OutputFile file("/dev/full");
  EXPECT_THROW(file.write("text"), SystemError);
  EXPECT_THROW(OutputFile("/nowhere/file"), SystemError);
}

}  // namespace
}  // namespace hyperx
