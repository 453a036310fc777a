#include "common/hdf5/hdf5_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "common/errors.h"
#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::h5 {
namespace {

using test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class Hdf5File : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }

  static std::vector<char> pattern(const DatasetInfo& set) {
    std::vector<char> bytes(static_cast<size_t>(set.byte_count()));
    uint32_t state = 12345;
    for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    return bytes;
  }
  test::TemporaryFolder folder_;
};

const std::vector<Type> kAllTypes = {Type::kFloat32, Type::kFloat64, Type::kBFloat16, Type::kInt16,
                                     Type::kInt32,   Type::kInt64,   Type::kUInt8,    Type::kUInt64};
const std::vector<std::vector<int64_t>> kShapes = {{}, {0}, {1}, {7}, {3, 0}, {3, 5}, {700, 1024}, {2, 3, 300000}};

TEST_F(Hdf5File, EveryTypeAndShapeComesBack) {
  std::vector<DatasetInfo> sets;
  File out = File::create(path("a.h5"));
  for (const Type type : kAllTypes)
    for (const auto& shape : kShapes) {
      DatasetInfo set{std::string("z/") + name_of(type) + "/set" + std::to_string(sets.size()), type, shape, -1};
      out.write(set.name, type, shape, pattern(set).data());
      sets.push_back(set);
    }
  out.close();

  const File in = File::open(path("a.h5"));
  const std::vector<DatasetInfo> found = in.datasets();
  ASSERT_EQ(found.size(), sets.size());
  for (size_t i = 0; i < sets.size(); ++i) {
    EXPECT_EQ(found[i].name, sets[i].name);  // order of creation, not of names: set10 stands after set9
    EXPECT_EQ(found[i].type, sets[i].type);
    EXPECT_EQ(found[i].shape, sets[i].shape);
    std::vector<char> bytes(static_cast<size_t>(sets[i].byte_count()));
    in.read(sets[i].name, sets[i].type, bytes.data());
    EXPECT_EQ(bytes, pattern(sets[i])) << sets[i].name;
  }
}

TEST_F(Hdf5File, MappedBytesAreTheElements) {
  const DatasetInfo odd{"train/odd", Type::kUInt8, {13}, -1}, ids{"train/token_ids", Type::kInt32, {100003}, -1};
  File out = File::create(path("m.h5"));
  out.write(odd.name, odd.type, odd.shape, pattern(odd).data());
  out.write(ids.name, ids.type, ids.shape, pattern(ids).data());
  out.write("train/empty", Type::kInt64, {0}, nullptr);
  out.close();

  const File in = File::open(path("m.h5"));
  const MappedFile map(path("m.h5"));
  for (const DatasetInfo& set : {odd, ids}) {
    const DatasetInfo info = in.info(set.name);
    ASSERT_GT(info.file_offset, 0);
    EXPECT_EQ(info.file_offset % 64, 0);
    EXPECT_EQ(std::memcmp(map.data() + info.file_offset, pattern(set).data(), static_cast<size_t>(set.byte_count())),
              0);
  }
  EXPECT_EQ(in.info("train/empty").file_offset, -1);
}

TEST_F(Hdf5File, RowsAreReadInPieces) {
  constexpr int64_t kRows = 5000, kColumns = 300;
  std::vector<float> values(kRows * kColumns);
  std::iota(values.begin(), values.end(), 0.0f);
  File out = File::create(path("r.h5"));
  out.write("w", Type::kFloat32, {kRows, kColumns}, values.data());
  out.close();
  const File in = File::open(path("r.h5"));
  std::vector<float> got(values.size(), -1.0f);
  for (int64_t row = 0; row < kRows; row += 777) {
    const int64_t rows = std::min<int64_t>(777, kRows - row);
    in.read_rows("w", Type::kFloat32, row, rows, got.data() + row * kColumns);
  }
  EXPECT_EQ(got, values);
}

TEST_F(Hdf5File, EqualContentGivesEqualBytes) {
  const DatasetInfo set{"g/w", Type::kFloat32, {300, 1000}, -1};
  for (const char* name : {"1.h5", "2.h5"}) {
    File out = File::create(path(name));
    out.write(set.name, set.type, set.shape, pattern(set).data());
    out.write_text("info", "{}");
    out.set_attribute("g", "step", int64_t{5});
    out.close();
    ::sleep(1);  // HDF5 would note times in whole seconds
  }
  EXPECT_TRUE(read_file(path("1.h5")) == read_file(path("2.h5")));
}

TEST_F(Hdf5File, AttributesAndLongText) {
  const std::string text = "pos:tr,\nçeviri 词", long_text(300000, 'x');
  File out = File::create(path("t.h5"));
  out.write("g/w", Type::kFloat32, {1}, std::vector<float>{1}.data());
  out.set_attribute("", "format_version", int64_t{1});
  out.set_attribute("", "format_version", int64_t{-7});  // a second one replaces the first
  out.set_attribute("g", "text", text);
  out.set_attribute("g/w", "empty", "");
  out.write_text("config", long_text);
  out.write_text("nothing", "");
  out.close();
  const File in = File::open(path("t.h5"));
  EXPECT_EQ(in.int_attribute("", "format_version"), -7);
  EXPECT_EQ(in.text_attribute("g", "text"), text);
  EXPECT_EQ(in.text_attribute("g/w", "empty"), "");
  EXPECT_EQ(in.read_text("config"), long_text);
  EXPECT_EQ(in.read_text("nothing"), "");
  EXPECT_TRUE(in.has("g/w") && in.has("g") && in.has_attribute("g", "text"));
  EXPECT_FALSE(in.has("g/x") || in.has("no/such/place") || in.has_attribute("", "text"));
}

TEST_F(Hdf5File, WrongTypeOrMissingNameIsBadData) {
  File out = File::create(path("a.h5"));
  const float value = 1;
  out.write("w", Type::kFloat32, {1}, &value);
  out.close();
  const File in = File::open(path("a.h5"));
  double wide = 0;
  EXPECT_THAT(user_error([&] { in.read("w", Type::kFloat64, &wide); }),
              AllOf(StartsWith("65 "), HasSubstr("holds float32, float64 is expected")));
  EXPECT_THAT(user_error([&] { in.read("v", Type::kFloat64, &wide); }), AllOf(StartsWith("65 "), HasSubstr("a.h5: v")));
}

TEST_F(Hdf5File, TruncatedFileIsRefused) {
  const DatasetInfo set{"w", Type::kFloat32, {300, 1024}, -1};
  File out = File::create(path("t.h5"));
  out.write(set.name, set.type, set.shape, pattern(set).data());
  out.close();
  const auto size = static_cast<int64_t>(fs::file_size(path("t.h5")));
  for (const int64_t keep : {size - 1, size / 2, int64_t{96}, int64_t{1}}) {
    fs::resize_file(path("t.h5"), static_cast<uintmax_t>(keep));
    EXPECT_THAT(user_error([&] { File::open(path("t.h5")); }), StartsWith("65 ")) << keep;
  }
}

TEST_F(Hdf5File, WhatIsNoHdf5FileIsNamed) {
  std::ofstream(path("x.h5")) << "treebank\n";
  EXPECT_THAT(user_error([&] { File::open(path("x.h5")); }),
              AllOf(StartsWith("65 "), HasSubstr("x.h5"), HasSubstr("Not an HDF5 file")));
  EXPECT_THAT(user_error([&] { File::open(path("none.h5")); }), AllOf(StartsWith("66 "), HasSubstr("No such file")));
  EXPECT_THAT(user_error([&] { File::open(folder_.path()); }), StartsWith("66 "));
}

TEST_F(Hdf5File, FileNotClosedIsRemoved) {
  {
    File out = File::create(path("u.h5"));
    out.write("w", Type::kFloat32, {1}, std::vector<float>{1}.data());
  }
  EXPECT_FALSE(fs::exists(path("u.h5")));
  try {
    File::create(path("no/folder.h5"));
    FAIL() << "made a file in a folder that is missing";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), ExitCode::kCannotCreate);
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
  }
}

TEST_F(Hdf5File, FullDiskIsNoticedAndPoisonsTheFile) {
  const std::string mount_point = path("small");
  fs::create_directories(mount_point);
  if (::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "a file system of 4 MiB cannot be mounted (not root?): " << errno_text();
  const DatasetInfo large{"w", Type::kFloat32, {2000, 1024}, -1};
  std::string message;
  {
    File out = File::create(mount_point + "/f.h5");
    out.write("small", Type::kFloat32, {1}, std::vector<float>{1}.data());
    try {
      out.write(large.name, large.type, large.shape, pattern(large).data());
    } catch (const SystemError& error) {
      message = error.what();
    }
    EXPECT_THROW(out.write("after", Type::kFloat32, {1}, std::vector<float>{1}.data()), SystemError);
    EXPECT_THROW(out.close(), SystemError);
  }
  const bool left_over = fs::exists(mount_point + "/f.h5");
  ::umount(mount_point.c_str());
  EXPECT_THAT(message, HasSubstr("No space left on device (errno 28)"));
  EXPECT_THAT(message, HasSubstr("f.h5: w"));
  EXPECT_FALSE(left_over);
}

// Wherever a write fails, HDF5 keeps nothing of the file: no open descriptor, and no crash when the process ends.
TEST_F(Hdf5File, NothingOutlivesAFileThatCannotBeWritten) {
  const DatasetInfo set{"group/w", Type::kFloat32, {40, 512}, -1};
  const std::vector<char> values = pattern(set);
  const auto write = [&](const std::string& name) {
    File out = File::create(path(name));
    for (int i = 0; i < 6; ++i) {
      out.set_attribute("", "step", int64_t{i});
      out.write("group/w" + std::to_string(i), set.type, set.shape, values.data());
      out.set_attribute("group/w" + std::to_string(i), "text", std::string(300, 'x'));
    }
    out.write_text("info", std::string(5000, 'x'));
    out.close();
  };
  const auto descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  write("whole.h5");
  const auto size = static_cast<rlim_t>(fs::file_size(path("whole.h5")));
  const auto write_under_limits = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const auto before = descriptors();
    int failed = 0;
    for (rlim_t bytes = 0; bytes < size; bytes += 997) {
      rlimit limit{bytes, RLIM_INFINITY};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      try {
        write("cut.h5");
      } catch (const SystemError& error) {
        failed += std::string(error.what()).find("cut.h5") != std::string::npos &&
                          std::string(error.what()).find("File too large (errno 27)") != std::string::npos
                      ? 1
                      : 0;
      }
      if (fs::exists(path("cut.h5"))) --failed;
      limit.rlim_cur = RLIM_INFINITY;
      ::setrlimit(RLIMIT_FSIZE, &limit);
      if (descriptors() != before) --failed;
    }
    write("after.h5");
    std::fprintf(stderr, "%d writes failed as they should", failed);
    std::exit(failed == static_cast<int>((size + 996) / 997) ? 0 : 1);
  };
  EXPECT_EXIT(write_under_limits(), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(read_file(path("whole.h5")) == read_file(path("after.h5")));
}

}  // namespace
}  // namespace hyperx::h5
