#include "common/read_error.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace hyperx {
namespace {

// The name leads to nothing, or to something that is never a file to read.
bool names_nothing(int number) {
  return number == ENOENT || number == ENOTDIR || number == EISDIR || number == ENAMETOOLONG || number == ELOOP;
}

}  // namespace

void fail_to_read(const std::string& path, const std::string& what) {
  const int number = errno;
  const std::string message = path + ": " + what + ": " + errno_text();
  if (names_nothing(number)) throw UserError(ExitCode::kNoInput, message);
  const bool forbidden = number == EACCES || number == EPERM;
  throw ReadError(forbidden ? ExitCode::kNoInput : ExitCode::kIo, message);
}

PathKind kind_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0)
    return S_ISREG(info.st_mode) ? PathKind::kFile : S_ISDIR(info.st_mode) ? PathKind::kFolder : PathKind::kOther;
  if (!names_nothing(errno)) fail_to_read(path, "cannot be examined");
  return PathKind::kNothing;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), &::closedir);
  if (!opened) {
    if (!names_nothing(errno)) fail_to_read(folder, "cannot be listed");
    return names;
  }
  errno = 0;
  while (const dirent* const entry = ::readdir(opened.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) fail_to_read(folder, "cannot be listed");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hyperx
