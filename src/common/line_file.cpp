#include "common/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/errors.h"

namespace hyperx {

LineFile::LineFile(const std::string& path) : path_(path) {
  // O_NONBLOCK: a pipe that nobody reads must not hang the start.
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd_ < 0) throw SystemError(path + ": cannot be written to: " + errno_text(), ExitCode::kCannotCreate);
  struct stat status {};
  if (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode)) return;
  ::close(fd_);
  throw SystemError(path + ": is not a regular file; remove it", ExitCode::kCannotCreate);
}

LineFile::~LineFile() { ::close(fd_); }

void LineFile::add(std::string_view line) {
  waiting_ += line;
  ++lines_waiting_;
}

void LineFile::flush() {
  if (torn_at_ >= 0 && ::ftruncate(fd_, torn_at_) != 0) throw SystemError(path_ + ": " + errno_text());
  torn_at_ = -1;
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  const ssize_t written = ::write(fd_, waiting_.data(), waiting_.size());
  if (written == static_cast<ssize_t>(waiting_.size())) {
    waiting_.clear();
    lines_waiting_ = 0;
    return;
  }
  const std::string cause = written < 0 ? errno_text() : "only a part of a line was written (a full disk?)";
  if (written > 0 && ::ftruncate(fd_, before) != 0) torn_at_ = before;
  throw SystemError(path_ + ": " + cause);
}

}  // namespace hyperx
