#include "common/hdf5/hdf5_driver.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/errors.h"

namespace hyperx::h5 {
namespace {

constexpr haddr_t kLargestAddress = INT64_MAX;

struct Info {
  WriteFailure* failure;
};

// HDF5 knows it by its first member.
struct DriverFile {
  H5FD_t base{};
  int descriptor = -1;
  haddr_t allocated = 0, end = 0;  // bytes
  WriteFailure* failure = nullptr;
};

DriverFile* of(H5FD_t* file) { return reinterpret_cast<DriverFile*>(file); }
const DriverFile* of(const H5FD_t* file) { return reinterpret_cast<const DriverFile*>(file); }

void note_failure(DriverFile* file) {
  if (file->failure->number != 0) return;
  file->failure->number = errno;
  file->failure->text = errno_text();
}

extern "C" {

H5FD_t* open_file(const char* name, unsigned flags, hid_t access, haddr_t /*largest*/) {
  const auto* const info = static_cast<const Info*>(H5Pget_driver_info(access));
  const int truncate = (flags & H5F_ACC_TRUNC) != 0 ? O_TRUNC : 0;
  const int descriptor = ::open(name, O_RDWR | O_CREAT | O_CLOEXEC | truncate, 0666);
  if (info == nullptr || descriptor < 0) return nullptr;
  auto* const file = new DriverFile;
  file->descriptor = descriptor;
  file->failure = info->failure;
  return &file->base;
}

herr_t close_file(H5FD_t* file) {
  if (::close(of(file)->descriptor) != 0) note_failure(of(file));
  delete of(file);
  return 0;
}

// The features of HDF5's own driver of POSIX files: the same calls give the same bytes.
herr_t query(const H5FD_t* /*file*/, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_POSIX_COMPAT_HANDLE | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t get_allocated(const H5FD_t* file, H5FD_mem_t /*type*/) { return of(file)->allocated; }

herr_t set_allocated(H5FD_t* file, H5FD_mem_t /*type*/, haddr_t bytes) {
  of(file)->allocated = bytes;
  return 0;
}

haddr_t get_end(const H5FD_t* file, H5FD_mem_t /*type*/) { return of(file)->end; }

herr_t get_handle(H5FD_t* file, hid_t /*access*/, void** handle) {
  *handle = &of(file)->descriptor;
  return 0;
}

// What was never written reads as zeros.
herr_t read_bytes(H5FD_t* file, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t at, size_t bytes, void* buffer) {
  auto* to = static_cast<char*>(buffer);
  while (bytes > 0) {
    const ssize_t got = ::pread(of(file)->descriptor, to, bytes, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) note_failure(of(file));
    if (got <= 0) break;
    to += got;
    at += static_cast<haddr_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  std::memset(to, 0, bytes);
  return 0;
}

herr_t write_bytes(H5FD_t* file, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t at, size_t bytes,
                   const void* buffer) {
  const auto* from = static_cast<const char*>(buffer);
  of(file)->end = std::max(of(file)->end, at + bytes);
  while (bytes > 0 && of(file)->failure->number == 0) {
    const ssize_t written = ::pwrite(of(file)->descriptor, from, bytes, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      note_failure(of(file));
      break;
    }
    from += written;
    at += static_cast<haddr_t>(written);
    bytes -= static_cast<size_t>(written);
  }
  return 0;
}

herr_t truncate_file(H5FD_t* file, hid_t /*transfer*/, hbool_t /*closing*/) {
  if (of(file)->allocated == of(file)->end) return 0;
  of(file)->end = of(file)->allocated;
  if (of(file)->failure->number == 0 && ::ftruncate(of(file)->descriptor, static_cast<off_t>(of(file)->allocated)) != 0)
    note_failure(of(file));
  return 0;
}

}  // extern "C"

H5FD_class_t driver_class() {
  H5FD_class_t driver{};
  driver.name = "hyperx";
  driver.maxaddr = kLargestAddress;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(Info);
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query;
  driver.get_eoa = get_allocated;
  driver.set_eoa = set_allocated;
  driver.get_eof = get_end;
  driver.get_handle = get_handle;
  driver.read = read_bytes;
  driver.write = write_bytes;
  driver.truncate = truncate_file;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), driver.fl_map);
  return driver;
}

}  // namespace

herr_t set_write_driver(hid_t access, WriteFailure* failure) {
  static const H5FD_class_t driver = driver_class();
  static const hid_t id = H5FDregister(&driver);  // HDF5 frees it when the process ends
  const Info info{failure};
  return H5Pset_driver(access, id, &info);
}

}  // namespace hyperx::h5
