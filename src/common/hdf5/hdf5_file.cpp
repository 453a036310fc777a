#include "common/hdf5/hdf5_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <map>

#include "common/errors.h"
#include "common/files.h"
#include "common/hdf5/hdf5_impl.h"
#include "common/read_error.h"
#include "common/text_table.h"

namespace hyperx::h5 {

static_assert(std::endian::native == std::endian::little, "files are written and mapped as they lie in memory");

namespace {

constexpr char kElementType[] = "element_type";
constexpr int kDeepestGroup = 32;  // that is read; a name could have any number of parts

hid_t stored_type(Type type) {
  switch (type) {
    case Type::kFloat32:
      return H5T_IEEE_F32LE;
    case Type::kFloat64:
      return H5T_IEEE_F64LE;
    case Type::kBFloat16:
      return H5T_STD_U16LE;
    case Type::kInt16:
      return H5T_STD_I16LE;
    case Type::kInt32:
      return H5T_STD_I32LE;
    case Type::kInt64:
      return H5T_STD_I64LE;
    case Type::kUInt8:
      return H5T_STD_U8LE;
    case Type::kUInt64:
      return H5T_STD_U64LE;
  }
  HYPERX_CHECK(false, "unknown element type");
}

std::vector<std::string> groups_of(const std::string& name) {
  std::vector<std::string> groups;
  for (size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1))
    groups.push_back(name.substr(0, at));
  return groups;
}

int64_t product(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) {
    HYPERX_CHECK(extent >= 0, "a negative extent");
    HYPERX_CHECK(extent == 0 || count <= INT64_MAX / extent, "a shape whose size overflows");
    count *= extent;
  }
  return count;
}

// Equal content must give equal bytes: HDF5 would record the time in every object.
void forbid_times(const Handle& plist, const Place& place) {
  check(H5Pset_obj_track_times(plist.get(), false), "H5Pset_obj_track_times", place);
}

// For groups, including the root of a file: datasets are then listed in order of creation.
void track_order(const Handle& plist, const Place& place) {
  check(H5Pset_link_creation_order(plist.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
        "H5Pset_link_creation_order", place);
  forbid_times(plist, place);
}

// The names in a group, in their order, and where the objects lie.
struct Links {
  std::vector<std::pair<std::string, std::string>> names;  // name, place
  std::string elsewhere;                                   // a name that is not a hard link
};

extern "C" herr_t take_link(hid_t /*group*/, const char* name, const H5L_info_t* info, void* result) {
  auto& links = *static_cast<Links*>(result);
  if (info->type != H5L_TYPE_HARD) {
    links.elsewhere = name;
    return 1;
  }
  links.names.emplace_back(name, std::string(reinterpret_cast<const char*>(&info->u), sizeof info->u));
  return 0;
}

}  // namespace

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) throw SystemError("HDF5 does not tell its version");
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

int64_t DatasetInfo::element_count() const { return product(shape); }
int64_t DatasetInfo::byte_count() const { return element_count() * static_cast<int64_t>(size_of(type)); }

bool File::Impl::exists(const std::string& name) const {
  keep_quiet();
  for (const std::string& group : groups_of(name)) {
    if (check(H5Lexists(file.get(), group.c_str(), H5P_DEFAULT), "H5Lexists", at(group)) == 0) return false;
    require_hard_links(group);
  }
  return check(H5Lexists(file.get(), name.c_str(), H5P_DEFAULT), "H5Lexists", at(name)) > 0;
}

void File::Impl::make_groups(const std::string& name) {
  for (const std::string& group : groups_of(name)) {
    if (check(H5Lexists(file.get(), group.c_str(), H5P_DEFAULT), "H5Lexists", at(group)) > 0) continue;
    const Handle plist(H5Pcreate(H5P_GROUP_CREATE), &H5Pclose, "H5Pcreate", at(group));
    track_order(plist, at(group));
    Handle made(H5Gcreate2(file.get(), group.c_str(), H5P_DEFAULT, plist.get(), H5P_DEFAULT), &H5Gclose, "H5Gcreate2",
                at(group));
    made.close("H5Gclose", at(group));
  }
}

Handle File::Impl::make_dataset(const std::string& name, Type type, const std::vector<int64_t>& shape) {
  const Place place = at(name);
  make_groups(name);
  const int64_t elements = product(shape);
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const Handle space(
      shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(shape.size()), extents.data(), nullptr),
      &H5Sclose, "H5Screate", place);
  const Handle plist(H5Pcreate(H5P_DATASET_CREATE), &H5Pclose, "H5Pcreate", place);
  check(H5Pset_fill_time(plist.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", place);
  forbid_times(plist, place);
  // early: creating the dataset fixes its place in the file and detects a full disk
  check(H5Pset_alloc_time(plist.get(), elements > 0 ? H5D_ALLOC_TIME_EARLY : H5D_ALLOC_TIME_LATE), "H5Pset_alloc_time",
        place);
  Handle dataset(
      H5Dcreate2(file.get(), name.c_str(), stored_type(type), space.get(), H5P_DEFAULT, plist.get(), H5P_DEFAULT),
      &H5Dclose, "H5Dcreate2", place);
  return dataset;
}

Type File::Impl::type_of(const std::string& name, const Handle& dataset) const {
  const Place place = at(name);
  const Handle type(H5Dget_type(dataset.get()), &H5Tclose, "H5Dget_type", place);
  for (const Type known :
       {Type::kFloat32, Type::kFloat64, Type::kInt16, Type::kInt32, Type::kInt64, Type::kUInt8, Type::kUInt64})
    if (check(H5Tequal(type.get(), stored_type(known)), "H5Tequal", place) > 0) return known;
  if (check(H5Tequal(type.get(), H5T_STD_U16LE), "H5Tequal", place) > 0 &&
      check(H5Aexists(dataset.get(), kElementType), "H5Aexists", place) > 0)
    return Type::kBFloat16;
  const bool big = H5Tget_order(type.get()) == H5T_ORDER_BE;
  throw UserError(ExitCode::kBadData,
                  path + ": " + name + ": its elements are " + (big ? "big-endian" : "of a type unknown here") +
                      ". Files are little-endian float32, float64, bfloat16 or integers: convert it.");
}

DatasetInfo File::Impl::describe(const std::string& name, const Handle& dataset) const {
  const Place place = at(name);
  DatasetInfo info{name, type_of(name, dataset), {}, -1};
  const Handle space(H5Dget_space(dataset.get()), &H5Sclose, "H5Dget_space", place);
  const int rank = check(H5Sget_simple_extent_ndims(space.get()), "H5Sget_simple_extent_ndims", place);
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  check(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr), "H5Sget_simple_extent_dims", place);
  int64_t bytes = static_cast<int64_t>(size_of(info.type));
  for (const hsize_t extent : extents) {
    info.shape.push_back(static_cast<int64_t>(std::min<hsize_t>(extent, INT64_MAX)));
    if (extent > INT64_MAX || __builtin_mul_overflow(bytes, std::max<int64_t>(info.shape.back(), 1), &bytes))
      refuse(name, "its shape " + shape_text(info.shape) + " is larger than any file");
  }
  const Handle plist(H5Dget_create_plist(dataset.get()), &H5Pclose, "H5Dget_create_plist", place);
  if (!writing) require_stored(info, dataset, plist);
  const bool contiguous = check(H5Pget_layout(plist.get()), "H5Pget_layout", place) == H5D_CONTIGUOUS;
  if (!contiguous || info.element_count() == 0) return info;
  const haddr_t offset = H5Dget_offset(dataset.get());
  H5Eclear2(H5E_DEFAULT);
  if (offset != HADDR_UNDEF) info.file_offset = static_cast<int64_t>(offset);
  if (!writing && (info.file_offset < 0 || info.file_offset > file_bytes - info.byte_count()))
    refuse(name, "its " + std::to_string(info.byte_count()) + " bytes begin at byte " +
                     std::to_string(info.file_offset) + " of a file of " + std::to_string(file_bytes) + ": truncated");
  return info;
}

// Elements may also lie in other files, be computed, or be given by a fill value: then a small file, whose digest is
// right, could stand for any amount of data.
void File::Impl::require_stored(const DatasetInfo& info, const Handle& dataset, const Handle& plist) const {
  const Place place = at(info.name);
  const H5D_layout_t layout = check(H5Pget_layout(plist.get()), "H5Pget_layout", place);
  if (check(H5Pget_external_count(plist.get()), "H5Pget_external_count", place) > 0 || layout == H5D_VIRTUAL)
    refuse(info.name, "its elements lie in other files");
  if (layout == H5D_COMPACT || check(H5Pget_nfilters(plist.get()), "H5Pget_nfilters", place) > 0)
    refuse(info.name, "its elements are compact or filtered; contiguous and plainly chunked ones are read");
  const hsize_t stored = H5Dget_storage_size(dataset.get());
  if (stored < static_cast<hsize_t>(info.byte_count()) || info.byte_count() > file_bytes)
    refuse(info.name, "its shape " + shape_text(info.shape) + " needs " + std::to_string(info.byte_count()) +
                          " bytes, of which the file holds " + std::to_string(stored));
}

void File::Impl::refuse(const std::string& name, const std::string& what) const {
  throw UserError(ExitCode::kBadData, path + ": " + name + ": " + what + ". Take another copy, or make it again.");
}

void File::Impl::require_hard_links(const std::string& name) const {
  if (writing || name.empty()) return;
  std::vector<std::string> parts = groups_of(name);
  if (parts.size() > kDeepestGroup)
    refuse(name.substr(0, 80), "more than " + std::to_string(kDeepestGroup) + " levels deep");
  parts.push_back(name);
  for (const std::string& part : parts) {
    H5L_info_t info{};
    check(H5Lget_info(file.get(), part.c_str(), &info, H5P_DEFAULT), "H5Lget_info", at(name));
    if (info.type != H5L_TYPE_HARD) refuse(part, "is a link to another place or file");
  }
}

std::pair<Handle, Handle> File::Impl::row_spaces(const DatasetInfo& set, const Handle& dataset, int64_t first,
                                                 int64_t rows) const {
  const Place place = at(set.name);
  HYPERX_CHECK(!set.shape.empty(), set.name + " has no rows");
  HYPERX_CHECK(
      first >= 0 && rows > 0 && first <= set.shape[0] - rows,
      set.name + " " + shape_text(set.shape) + " has no rows " + std::to_string(first) + "+" + std::to_string(rows));
  std::vector<hsize_t> start(set.shape.size(), 0), count(set.shape.begin(), set.shape.end());
  start[0] = static_cast<hsize_t>(first);
  count[0] = static_cast<hsize_t>(rows);
  Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), &H5Sclose, "H5Screate_simple",
                place);
  Handle file_space(H5Dget_space(dataset.get()), &H5Sclose, "H5Dget_space", place);
  check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
        "H5Sselect_hyperslab", place);
  return {std::move(memory), std::move(file_space)};
}

void File::Impl::list(const std::string& group, const Handle& opened, int depth, std::set<std::string>& seen,
                      std::vector<DatasetInfo>& result) const {
  const Place place = at(group);
  if (depth > kDeepestGroup) refuse(group, "more than " + std::to_string(kDeepestGroup) + " levels deep");
  const Handle plist(H5Gget_create_plist(opened.get()), &H5Pclose, "H5Gget_create_plist", place);
  unsigned tracked = 0;
  check(H5Pget_link_creation_order(plist.get(), &tracked), "H5Pget_link_creation_order", place);
  const H5_index_t order = (tracked & H5P_CRT_ORDER_TRACKED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  Links links;
  check(H5Literate(opened.get(), order, H5_ITER_INC, nullptr, &take_link, &links), "H5Literate", place);
  const auto full = [&](const std::string& name) { return group.empty() ? name : group + "/" + name; };
  if (!links.elsewhere.empty()) refuse(full(links.elsewhere), "is a link to another place or file");
  for (const auto& [name, where] : links.names) {
    if (!seen.insert(where).second) refuse(full(name), "is an object that the file holds under another name too");
    const Handle object(H5Oopen(opened.get(), name.c_str(), H5P_DEFAULT), &H5Oclose, "H5Oopen", at(full(name)));
    const H5I_type_t kind = H5Iget_type(object.get());
    if (kind == H5I_GROUP) list(full(name), object, depth + 1, seen, result);
    if (kind == H5I_DATASET) result.push_back(describe(full(name), object));
  }
}

File::File(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
File::~File() = default;
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;

File File::create(const std::string& path) {
  keep_quiet();
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->writing = true;
  const Place place = impl->at("");
  // Opened here first, so that the error is the system's own: a missing folder, a read-only disk.
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (descriptor < 0) {
    impl->writing = false;  // no file of ours to remove
    throw SystemError(path + ": cannot be created: " + errno_text(), ExitCode::kCannotCreate);
  }
  ::close(descriptor);
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), &H5Pclose, "H5Pcreate", place);
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "H5Pset_libver_bounds", place);
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "H5Pset_fclose_degree", place);
  // flock fails on some network file systems; temporary names and the run folder's own lock exclude other writers
  check(H5Pset_file_locking(access.get(), 0, 1), "H5Pset_file_locking", place);
  check(H5Pset_alignment(access.get(), 1, 64), "H5Pset_alignment", place);
  check(set_write_driver(access.get(), &impl->failure), "H5Pset_driver", place);
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), &H5Pclose, "H5Pcreate", place);
  track_order(creation, place);
  impl->file =
      Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), &H5Fclose, "H5Fcreate", place);
  impl->require_written("");
  return File(std::move(impl));
}

File File::open(const std::string& path) {
  keep_quiet();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_to_read(path, "cannot be opened");
  if (!S_ISREG(status.st_mode))
    throw UserError(ExitCode::kNoInput, path + ": not a regular file, an HDF5 file is expected");
  if (::access(path.c_str(), R_OK) != 0) fail_to_read(path, "cannot be read");
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->file_bytes = status.st_size;
  const Place place = impl->at("");
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), &H5Pclose, "H5Pcreate", place);
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "H5Pset_fclose_degree", place);
  check(H5Pset_file_locking(access.get(), 0, 1), "H5Pset_file_locking", place);
  impl->file = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), &H5Fclose, "H5Fopen", place);
  const Handle creation(H5Fget_create_plist(impl->file.get()), &H5Pclose, "H5Fget_create_plist", place);
  hsize_t user_block = 0;
  check(H5Pget_userblock(creation.get(), &user_block), "H5Pget_userblock", place);
  if (user_block != 0)
    throw UserError(ExitCode::kBadData, path + ": has a user block of " + std::to_string(user_block) +
                                            " bytes, which shifts every offset: make it again with hyperx");
  return File(std::move(impl));
}

void File::write(const std::string& name, Type type, const std::vector<int64_t>& shape, const void* data) {
  impl_->step(name, [&] {
    const Place place = impl_->at(name);
    Handle dataset = impl_->make_dataset(name, type, shape);
    if (product(shape) > 0)
      check(H5Dwrite(dataset.get(), stored_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "H5Dwrite", place);
    dataset.close("H5Dclose", place);
  });
  if (type == Type::kBFloat16) set_attribute(name, kElementType, name_of(type));
}

std::vector<DatasetInfo> File::datasets() const {
  keep_quiet();
  std::vector<DatasetInfo> result;
  std::set<std::string> seen;
  impl_->list("", impl_->open_object(""), 0, seen, result);
  int64_t left = impl_->file_bytes;
  for (const DatasetInfo& set : result)
    if (!impl_->writing && (left -= set.byte_count()) < 0) impl_->refuse(set.name, "shares bytes with other arrays");
  return result;
}

bool File::has(const std::string& name) const { return impl_->exists(name); }

DatasetInfo File::info(const std::string& name) const { return impl_->describe(name, impl_->open_dataset(name)); }

void File::read(const std::string& name, Type type, void* data) const {
  Handle dataset = impl_->open_dataset(name);
  const DatasetInfo set = impl_->describe(name, dataset);
  if (set.type != type)
    throw UserError(ExitCode::kBadData,
                    impl_->path + ": " + name + ": holds " + name_of(set.type) + ", " + name_of(type) + " is expected");
  if (set.element_count() == 0) return;
  check(H5Dread(dataset.get(), stored_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "H5Dread", impl_->at(name));
}

void File::read_rows(const std::string& name, Type type, int64_t first_row, int64_t rows, void* data) const {
  auto found = impl_->streamed.find(name);
  if (found == impl_->streamed.end()) {
    impl_->streamed.clear();  // one dataset's chunk cache is enough
    found = impl_->streamed.emplace(name, impl_->open_dataset(name)).first;
  }
  const DatasetInfo set = impl_->describe(name, found->second);
  if (set.type != type)
    throw UserError(ExitCode::kBadData,
                    impl_->path + ": " + name + ": holds " + name_of(set.type) + ", " + name_of(type) + " is expected");
  if (rows == 0) return;
  const auto [memory, space] = impl_->row_spaces(set, found->second, first_row, rows);
  check(H5Dread(found->second.get(), stored_type(type), memory.get(), space.get(), H5P_DEFAULT, data), "H5Dread",
        impl_->at(name));
}

void File::write_text(const std::string& name, const std::string& text) {
  write(name, Type::kUInt8, {static_cast<int64_t>(text.size())}, text.data());
}

std::string File::read_text(const std::string& name) const {
  std::string text(static_cast<size_t>(info(name).byte_count()), '\0');
  read(name, Type::kUInt8, text.data());
  return text;
}

void File::close(bool sync) {
  if (!impl_->writing) {
    impl_->streamed.clear();
    impl_->file.close("H5Fclose", impl_->at(""));
    return;
  }
  impl_->step("", [&] {
    impl_->streamed.clear();
    check(H5Fflush(impl_->file.get(), H5F_SCOPE_GLOBAL), "H5Fflush", impl_->at(""));
    impl_->file.close("H5Fclose", impl_->at(""));
    if (sync) sync_path(impl_->path);
  });
  impl_->closed = true;
}

}  // namespace hyperx::h5
