// Preloaded into the program: reading a file whose path holds $HYPERX_TEST_UNREADABLE fails with the errno
// $HYPERX_TEST_ERRNO, as a disk or a parallel file system does for a moment. "open:" before the path: opening it fails.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

bool fails(const char* path, bool opening) {
  const char* wanted = std::getenv("HYPERX_TEST_UNREADABLE");
  if (wanted == nullptr) return false;
  const bool at_open = std::strncmp(wanted, "open:", 5) == 0;
  if (at_open != opening || std::strstr(path, wanted + (at_open ? 5 : 0)) == nullptr) return false;
  errno = std::atoi(std::getenv("HYPERX_TEST_ERRNO"));
  return true;
}

bool fails(int descriptor) {
  if (std::getenv("HYPERX_TEST_UNREADABLE") == nullptr) return false;
  char path[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return fails(path, false);
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t read(int descriptor, void* to, size_t bytes) {
  return fails(descriptor) ? -1 : next<decltype(read)>("read")(descriptor, to, bytes);
}

ssize_t pread(int descriptor, void* to, size_t bytes, off_t at) {
  return fails(descriptor) ? -1 : next<decltype(pread)>("pread")(descriptor, to, bytes, at);
}

ssize_t pread64(int descriptor, void* to, size_t bytes, off64_t at) {
  return fails(descriptor) ? -1 : next<decltype(pread64)>("pread64")(descriptor, to, bytes, at);
}

ssize_t __read_chk(int descriptor, void* to, size_t bytes, size_t) { return read(descriptor, to, bytes); }  // NOLINT

FILE* fopen(const char* path, const char* mode) {
  if (fails(path, true)) return nullptr;
  FILE* const file = next<decltype(fopen)>("fopen")(path, mode);
  if (file == nullptr || !fails(fileno(file))) return file;
  // a stream that cannot be read: fread reads within the C library, past the functions above
  std::fclose(file);
  return next<decltype(fopen)>("fopen")("/proc/self/mem", mode);  // gives EIO
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int permissions = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
  va_end(more);
  if ((flags & (O_WRONLY | O_RDWR)) == 0 && fails(path, true)) return -1;
  return next<int(const char*, int, ...)>("open")(path, flags, permissions);
}

}  // extern "C"
