#include "common/read_error.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "common/digest.h"
#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Linux gives EIO for the first byte of this file.
constexpr char kUnreadable[] = "/proc/self/mem";

TEST(ReadErrorTest, TellsAMissingFileFromOneThatCannotBeReadNow) {
  for (const auto& [number, code, unreadable] : {std::tuple{ENOENT, "66 ", false},
                                                 {ENOTDIR, "66 ", false},
                                                 {EISDIR, "66 ", false},
                                                 {EACCES, "66 ", true},
                                                 {EIO, "74 ", true},
                                                 {ESTALE, "74 ", true},
                                                 {EMFILE, "74 ", true},
                                                 {ENOMEM, "74 ", true}}) {
    const auto fail = [number = number] {
      errno = number;
      fail_to_read("a/file", "cannot be opened");
    };
    EXPECT_THAT(test::user_error(fail), testing::StartsWith(std::string(code) + "a/file: cannot be opened: "));
    bool is_read_error = false;
    try {
      fail();
    } catch (const ReadError&) {
      is_read_error = true;
    } catch (const UserError&) {
    }
    EXPECT_EQ(is_read_error, unreadable) << number;
  }
}

TEST(ReadErrorTest, AFileThatCannotBeReadIsNoMissingOne) {
  EXPECT_THROW(read_file(kUnreadable), ReadError);
  EXPECT_THROW(xxh128_of_file(kUnreadable), ReadError);
  EXPECT_THAT(test::user_error([] { read_file(kUnreadable); }), HasSubstr("Input/output error"));
}

TEST(ReadErrorTest, KindsAndNames) {
  const test::TemporaryFolder folder;
  folder.write("b", "");
  std::filesystem::create_directory(folder.path("a"));
  std::filesystem::create_symlink("nowhere", folder.path("c"));
  ASSERT_EQ(::mkfifo(folder.path("d").c_str(), 0600), 0);
  EXPECT_EQ(kind_of(folder.path("a")), PathKind::kFolder);
  EXPECT_EQ(kind_of(folder.path("b")), PathKind::kFile);
  EXPECT_EQ(kind_of(folder.path("c")), PathKind::kNothing);
  EXPECT_EQ(kind_of(folder.path("d")), PathKind::kOther);
  EXPECT_EQ(kind_of(folder.path("b/below")), PathKind::kNothing);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(names_in(folder.path("none")), IsEmpty());
}

}  // namespace
}  // namespace hyperx
