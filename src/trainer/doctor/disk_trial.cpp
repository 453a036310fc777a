#include "trainer/doctor/disk_trial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/read_error.h"

namespace hyperx::doctor {

namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 4 << 20;
constexpr int kSmallFiles = 9;

// Of the open file, not of the process: fcntl()'s ordinary locks never conflict within one process.
bool lock_record(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool refused() { return errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES; }

// Whether a lock of the file is refused, because another open file has it.
bool is_locked(const std::string& path, bool record) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const bool got = record ? lock_record(fd) : ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  const bool conflict = !got && refused();
  ::close(fd);
  return conflict;
}

double write_seconds(const std::string& path, int64_t bytes) {
  const std::string block(kBlockBytes, 'x');
  const Clock::time_point start = Clock::now();
  OutputFile file(path);
  for (int64_t done = 0; done < bytes; done += std::ssize(block))
    file.write(std::string_view(block).substr(0, static_cast<size_t>(std::min(bytes - done, std::ssize(block)))));
  file.finish();
  return seconds_since(start);
}

double small_seconds(const std::string& path) {
  std::vector<double> times;
  for (int i = 0; i < kSmallFiles; ++i) {
    const Clock::time_point start = Clock::now();
    write_file_atomically(path, std::to_string(i));
    times.push_back(seconds_since(start));
  }
  std::nth_element(times.begin(), times.begin() + kSmallFiles / 2, times.end());
  return times[kSmallFiles / 2];
}

bool exchanges(const std::string& one, const std::string& other) {
  make_folders(one);
  make_folders(other);
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

}  // namespace

DiskTrial::DiskTrial(const std::string& folder, const std::string& job, bool first)
    : folder_(folder), trial_(folder + "/.hyperx-doctor-" + job), first_(first) {
  if (!first_) return;
  try {
    problem_ = begin();
  } catch (const std::runtime_error& error) {  // UserError, SystemError
    problem_ = error.what();
  }
}

std::string DiskTrial::begin() {
  if (kind_of(folder_) != PathKind::kFolder) return folder_ + ": no such folder";
  make_folders(trial_);
  write_file_atomically(trial_ + "/flock", "x");
  write_file_atomically(trial_ + "/record", "x");
  flock_fd_ = ::open((trial_ + "/flock").c_str(), O_RDWR | O_CLOEXEC);
  record_fd_ = ::open((trial_ + "/record").c_str(), O_RDWR | O_CLOEXEC);
  if (flock_fd_ < 0 || record_fd_ < 0) return trial_ + ": cannot be opened: " + errno_text();
  // A file system without one of them refuses it here; then nobody sees it held.
  if (::flock(flock_fd_, LOCK_EX | LOCK_NB) != 0) ::close(std::exchange(flock_fd_, -1));
  if (!lock_record(record_fd_)) ::close(std::exchange(record_fd_, -1));
  return "";
}

DiskTrial::~DiskTrial() {
  for (const int fd : {flock_fd_, record_fd_})
    if (fd >= 0) ::close(fd);
  std::error_code ignored;
  if (first_) fs::remove_all(trial_, ignored);
}

DiskFacts DiskTrial::try_disk(int64_t bytes) const {
  DiskFacts facts;
  facts.problem = problem_;
  if (!problem_.empty()) return facts;
  try {
    struct statvfs status {};
    if (::statvfs(folder_.c_str(), &status) != 0) {
      facts.problem = folder_ + ": " + errno_text();
      return facts;
    }
    facts.free_bytes = static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
    facts.sees_first_host = kind_of(trial_ + "/flock") == PathKind::kFile;
    if (!facts.sees_first_host) return facts;
    facts.sees_flock = is_locked(trial_ + "/flock", false);
    facts.sees_record_lock = is_locked(trial_ + "/record", true);
    if (first_) {  // elsewhere it does not matter: a lock that is not seen at its own host works nowhere
      facts.flock_works = facts.sees_flock;
      facts.record_lock_works = facts.sees_record_lock;
    }
    const std::string own = trial_ + "/" + host_name() + "-" + std::to_string(::getpid());
    if (facts.free_bytes > 2 * bytes) {
      facts.write_bytes_per_second = static_cast<double>(bytes) / std::max(write_seconds(own, bytes), 1e-9);
      ::unlink(own.c_str());
    }
    facts.sync_seconds = small_seconds(own + ".small");
    facts.exchange_works = exchanges(own + ".one", own + ".other");
  } catch (const std::runtime_error& error) {  // UserError, SystemError
    facts.problem = error.what();
  }
  return facts;
}

}  // namespace hyperx::doctor
