// Files that hyperx does not write: what they refer to, and how much they claim to hold.
#include <gmock/gmock.h>
#include <hdf5.h>

#include <fstream>
#include <numeric>

#include "common/hdf5/hdf5_file.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::h5 {
namespace {

using test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Written with the C library, as a stranger's program could: `make` gets the open file.
class ForeignHdf5File : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  static void ok(herr_t status) { EXPECT_GE(status, 0); }
  template <class Make>
  std::string make(const std::string& name, Make&& make) const {
    const hid_t file = H5Fcreate(path(name).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    make(file);
    EXPECT_EQ(H5Fclose(file), 0);
    return path(name);
  }
  // A dataset of float32, which may be larger than what is written of it: nothing.
  static void make_dataset(hid_t file, const char* name, std::vector<hsize_t> shape, hid_t plist = H5P_DEFAULT) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    EXPECT_GE(set, 0);
    ok(H5Dclose(set));
    ok(H5Sclose(space));
  }
  static void make_group(hid_t file, const std::string& name) {
    ok(H5Gclose(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
  }
  // All ways to its content refuse it.
  static void expect_refused(const std::string& path, const std::string& name, const std::string& words) {
    const File file = File::open(path);
    const auto expected = AllOf(StartsWith("65 " + path + ": "), HasSubstr(words));
    EXPECT_THAT(user_error([&] { file.datasets(); }), expected);
    if (name.empty()) return;
    float value = 0;
    EXPECT_THAT(user_error([&] { file.info(name); }), expected);
    EXPECT_THAT(user_error([&] { file.read(name, Type::kFloat32, &value); }), expected);
    EXPECT_THAT(user_error([&] { file.read_rows(name, Type::kFloat32, 0, 1, &value); }), expected);
    EXPECT_THAT(user_error([&] { file.read_text(name); }), expected);
  }

  test::TemporaryFolder folder_;
};

TEST_F(ForeignHdf5File, LinksToOtherPlacesAreRefused) {
  const std::string other = make("other.h5", [](hid_t file) { make_dataset(file, "w", {2}); });
  expect_refused(
      make("external.h5",
           [&](hid_t file) { H5Lcreate_external(other.c_str(), "/w", file, "w", H5P_DEFAULT, H5P_DEFAULT); }),
      "w", "w: is a link to another place or file");
  expect_refused(make("soft.h5",
                      [&](hid_t file) {
                        make_dataset(file, "v", {0});
                        ok(H5Lcreate_soft("/v", file, "w", H5P_DEFAULT, H5P_DEFAULT));
                      }),
                 "w", "w: is a link to another place or file");
  // A group on the way may be a link, too.
  const std::string group = make(
      "group.h5", [&](hid_t file) { H5Lcreate_external(other.c_str(), "/", file, "g", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refused(group, "g/w", "g: is a link to another place or file");
  EXPECT_THAT(user_error([&] { File::open(group).has("g/w"); }), HasSubstr("g: is a link"));
  EXPECT_THAT(user_error([&] { File::open(group).int_attribute("g/w", "a"); }), HasSubstr("g: is a link"));
}

TEST_F(ForeignHdf5File, ElementsOutsideTheFileAreRefused) {
  std::ofstream(path("raw")) << std::string(4096, 'x');
  expect_refused(make("raw.h5",
                      [&](hid_t file) {
                        const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
                        ok(H5Pset_external(plist, path("raw").c_str(), 0, 4096));
                        make_dataset(file, "w", {1024}, plist);
                      }),
                 "w", "its elements lie in other files");
  const std::string other = make("source.h5", [](hid_t file) { make_dataset(file, "w", {16}); });
  expect_refused(make("virtual.h5",
                      [&](hid_t file) {
                        const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
                        hsize_t size = 16;
                        const hid_t space = H5Screate_simple(1, &size, nullptr);
                        ok(H5Pset_virtual(plist, space, other.c_str(), "/w", space));
                        make_dataset(file, "w", {16}, plist);
                      }),
                 "w", "its elements lie in other files");
}

// A file of 2 kB that would fill any memory.
TEST_F(ForeignHdf5File, MoreElementsThanTheFileHoldsAreRefused) {
  constexpr hsize_t kMany = 1'000'000'000'000;
  expect_refused(make("late.h5", [](hid_t file) { make_dataset(file, "w", {kMany}); }), "w",
                 "of which the file holds 0");
  for (const bool filtered : {false, true})
    expect_refused(make("chunks.h5",
                        [&](hid_t file) {
                          const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
                          hsize_t chunk = 1'000'000;
                          ok(H5Pset_chunk(plist, 1, &chunk));
                          if (filtered) ok(H5Pset_shuffle(plist));
                          make_dataset(file, "w", {kMany}, plist);
                        }),
                   "w", filtered ? "compact or filtered" : "of which the file holds 0");
  for (const hsize_t rows : {hsize_t{1} << 62, hsize_t{1} << 61})
    expect_refused(make("wide.h5",
                        [&](hid_t file) {
                          const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
                          hsize_t chunk[] = {1, 8};
                          ok(H5Pset_chunk(plist, 2, chunk));
                          make_dataset(file, "w", {rows, 8}, plist);
                        }),
                   "w", "is larger than any file");
}

TEST_F(ForeignHdf5File, PlainChunksAreRead) {
  std::vector<float> values(5000), got(5000);
  std::iota(values.begin(), values.end(), 0.0f);
  const File file = File::open(make("chunks.h5", [&](hid_t out) {
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk = 999, size = 5000;
    ok(H5Pset_chunk(plist, 1, &chunk));
    const hid_t space = H5Screate_simple(1, &size, nullptr);
    const hid_t set = H5Dcreate2(out, "w", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    ok(H5Dwrite(set, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
    ok(H5Dclose(set));
  }));
  EXPECT_EQ(file.datasets().size(), 1U);
  file.read("w", Type::kFloat32, got.data());
  EXPECT_EQ(got, values);
}

// Each object is visited once; a walk without end is no file's right.
TEST_F(ForeignHdf5File, GroupsThatHoldThemselvesAreRefused) {
  expect_refused(make("itself.h5",
                      [](hid_t file) {
                        make_group(file, "g");
                        ok(H5Lcreate_hard(file, "/g", file, "/g/again", H5P_DEFAULT, H5P_DEFAULT));
                      }),
                 "", "g/again: is an object that the file holds under another name too");
  expect_refused(
      make("root.h5", [](hid_t file) { ok(H5Lcreate_hard(file, "/", file, "/r", H5P_DEFAULT, H5P_DEFAULT)); }), "",
      "under another name too");
  expect_refused(make("deep.h5",
                      [](hid_t file) {
                        hid_t group = H5Gopen2(file, "/", H5P_DEFAULT);
                        for (int level = 0; level < 20'000; ++level) {
                          const hid_t next = H5Gcreate2(group, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
                          ok(H5Gclose(group));
                          group = next;
                        }
                        ok(H5Gclose(group));
                      }),
                 "", "more than 32 levels deep");
}

TEST_F(ForeignHdf5File, AnAttributeOfManyValuesIsNotTakenForOne) {
  const File file = File::open(make("a.h5", [](hid_t out) {
    hsize_t size = 1000;
    const hid_t space = H5Screate_simple(1, &size, nullptr);
    const std::vector<int64_t> values(1000, 7);
    const hid_t many = H5Acreate2(out, "many", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    ok(H5Awrite(many, H5T_NATIVE_INT64, values.data()));
    ok(H5Aclose(many));
    const hid_t type = H5Tcopy(H5T_C_S1);
    ok(H5Tset_size(type, 8));
    const hid_t texts = H5Acreate2(out, "texts", type, space, H5P_DEFAULT, H5P_DEFAULT);
    ok(H5Awrite(texts, type, values.data()));
    ok(H5Aclose(texts));
  }));
  EXPECT_THAT(user_error([&] { file.int_attribute("", "many"); }), AllOf(StartsWith("65 "), HasSubstr("@many")));
  EXPECT_THAT(user_error([&] { file.text_attribute("", "texts"); }), AllOf(StartsWith("65 "), HasSubstr("@texts")));
}

}  // namespace
}  // namespace hyperx::h5
