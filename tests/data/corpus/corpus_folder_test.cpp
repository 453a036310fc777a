// Where a file system has no locks: flock() of this program fails as each test says.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>

#include "common/files.h"
#include "common/host.h"
#include "data/corpus/corpus_writer.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace {
std::atomic<int> g_failure{0};  // errno of flock(); 0: none
std::atomic<int> g_times{0};    // how often it fails; below 0: always
}  // namespace

extern "C" int flock(int file, int operation) {
  if (g_failure != 0 && g_times != 0) {
    --g_times;
    errno = g_failure;
    return -1;
  }
  static const auto real = reinterpret_cast<int (*)(int, int)>(dlsym(RTLD_NEXT, "flock"));
  return real(file, operation);
}

namespace hyperx::data {
namespace {

namespace fs = std::filesystem;

using hyperx::test::user_error;

using testing::HasSubstr;
using testing::IsEmpty;

class CorpusFolderTest : public testing::Test {
 protected:
  static void fail_flock(int error, int times = -1) {
    g_times = times;
    g_failure = error;
  }
  ~CorpusFolderTest() override { fail_flock(0); }

  // Writes a corpus folder of one file; returns what is logged.
  std::string write() {
    testing::internal::CaptureStderr();
    {
      CorpusFolder folder(path_, false);
      write_file_atomically(folder.temporary() + "/file", "new");
      folder.commit();
    }
    EXPECT_EQ(read_file(path_ + "/file"), "new");
    fs::remove_all(path_);
    return testing::internal::GetCapturedStderr();
  }

  const test::TemporaryFolder folder_;
  const std::string path_ = folder_.path("corpus");
};

TEST_F(CorpusFolderTest, AFileSystemWithoutLocksWorks) {
  constexpr int kNotSupported = 524;  // ENOTSUPP of the kernel, which has no name here
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL, kNotSupported}) {
    fail_flock(error);
    EXPECT_THAT(write(), IsEmpty()) << error;
  }
}

TEST_F(CorpusFolderTest, AnInterruptedLockIsTriedAgain) {
  fail_flock(EINTR, 2);
  EXPECT_THAT(write(), IsEmpty());
  EXPECT_EQ(g_times, 0);
}

TEST_F(CorpusFolderTest, AHeldLockIsAnotherPrepare) {
  fail_flock(EWOULDBLOCK);
  EXPECT_THAT(user_error([&] { write(); }), HasSubstr("another prepare is writing this corpus now"));
  testing::internal::GetCapturedStderr();
}

TEST_F(CorpusFolderTest, WithoutLocksALiveWriterOfThisMachineIsFound) {
  fail_flock(ENOLCK);
  const std::string marker =
      folder_.write("corpus.tmp/.hyperx-prepare", host_name() + " " + std::to_string(getppid()) + "\n");
  folder_.write("corpus.tmp/file", "of the other");
  EXPECT_THAT(user_error([&] { CorpusFolder folder(path_, false); }), HasSubstr("another prepare is writing"));
  EXPECT_EQ(read_file(path_ + ".tmp/file"), "of the other");
  write_file_atomically(marker, host_name() + " 999999999\n");
  EXPECT_THAT(write(), IsEmpty());
}

TEST_F(CorpusFolderTest, WithoutLocksAWriterOfAnotherMachineIsWarnedOf) {
  fail_flock(ENOLCK);
  folder_.write("corpus.tmp/.hyperx-prepare", "elsewhere 123\n");
  EXPECT_THAT(write(), HasSubstr("make sure that process 123 on elsewhere no longer writes"));
}

}  // namespace
}  // namespace hyperx::data
