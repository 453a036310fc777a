#include "common/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <utility>

#include "common/errors.h"
#include "common/git_lfs.h"
#include "common/leftovers.h"
#include "common/read_error.h"

namespace hyperx {
namespace {

constexpr size_t kLargestText = size_t{1} << 30;  // of read_file(), in bytes

// A file descriptor that the destructor closes.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const std::string& path, int flags) : Descriptor(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool is_of_the_shell(const std::string& path) { return path == "/dev/stdin" || path.starts_with("/dev/fd/"); }

const char* name_of_kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

size_t size_of(const Descriptor& file, const std::string& path) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail_to_read(path, "cannot be examined");
  return static_cast<size_t>(info.st_size);
}

void write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw SystemError(path + ": cannot be written: " + errno_text());
    content.remove_prefix(static_cast<size_t>(written));
  }
}

void rename_path(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    throw SystemError(from + ": cannot be renamed to " + to + ": " + errno_text());
}

void sync_parent(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  sync_path(folder.empty() ? "." : folder);
}

}  // namespace

int open_to_read(const std::string& path, InputKind kind) {
  // Looked at before it is opened: that would wait for a pipe's writer, and may have an effect on a device.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail_to_read(path, "cannot be opened");
  const bool is_stream = S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode) || S_ISSOCK(info.st_mode);
  const bool fits = S_ISREG(info.st_mode) || (kind == InputKind::kText && is_stream) ||
                    (S_ISFIFO(info.st_mode) && is_of_the_shell(path));
  if (!fits)
    throw UserError(ExitCode::kNoInput, path + ": is " + name_of_kind(info.st_mode) + " where a file is expected");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_to_read(path, "cannot be opened");
  return fd;
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

std::string read_file(const std::string& path) {
  const Descriptor file(open_to_read(path));
  const auto refuse = [&] {
    throw UserError(ExitCode::kBadData, path + ": is larger than " + std::to_string(kLargestText) +
                                            " bytes, which no file of its kind is: is it the right file?");
  };
  const size_t size = size_of(file, path);
  if (size > kLargestText) refuse();
  std::string content;
  content.reserve(size + 1);
  char buffer[1 << 16];
  for (;;) {  // not by size: files of /proc and pipes report 0
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read(path, "cannot be read");
    if (got == 0) break;
    if (content.size() + static_cast<size_t>(got) > kLargestText) refuse();
    content.append(buffer, static_cast<size_t>(got));
  }
  refuse_git_lfs_pointer(path, content);
  return content;
}

void write_file_atomically(const std::string& path, std::string_view content) {
  const std::string temporary =
      path + "." + std::to_string(::getpid()) + ".tmp";  // several processes may write the same path
  try {
    OutputFile file(temporary);
    file.write(content);
    file.finish();
    if (std::rename(temporary.c_str(), path.c_str()) != 0)
      throw SystemError(path + ": cannot take the place of the old file: " + errno_text());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_parent(path);
}

void remove_dead_temporaries(const std::string& folder) {
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(folder, gone)) {
    const std::filesystem::path name = entry.path().filename();
    const std::string owner = name.stem().extension().string();  // ".PID"
    const bool is_number = owner.size() > 1 && owner.find_first_not_of("0123456789", 1) == std::string::npos;
    if (name.extension() != ".tmp" || !is_number || !entry.is_regular_file(gone)) continue;
    const pid_t process = static_cast<pid_t>(std::strtol(owner.c_str() + 1, nullptr, 10));
    if (!is_alive(process)) std::filesystem::remove(entry.path(), gone);
  }
}

OutputFile::OutputFile(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (fd_ < 0) throw SystemError(path + ": cannot be created: " + errno_text(), ExitCode::kCannotCreate);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFile::write(std::string_view content) { write_all(fd_, content, path_); }

void OutputFile::finish() {
  if (::fsync(fd_) != 0) throw SystemError(path_ + ": fsync: " + errno_text());
  if (::close(std::exchange(fd_, -1)) != 0) throw SystemError(path_ + ": close: " + errno_text());
}

void sync_path(const std::string& path) {
  const Descriptor file(path, O_RDONLY);
  if (file.get() < 0) throw SystemError(path + ": cannot be opened for fsync: " + errno_text());
  if (::fsync(file.get()) != 0) throw SystemError(path + ": fsync: " + errno_text());
}

void start_write_back(const std::string& path) {
  const Descriptor file(path, O_WRONLY);
  if (file.get() >= 0) ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

void replace_folder(const std::string& from, const std::string& to, bool may_exchange) {
  struct stat status {};
  std::string former;  // current place of what was at `to`
  if (::lstat(to.c_str(), &status) != 0) {
    rename_path(from, to);
  } else if (may_exchange && ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    former = from;
  } else {
    former = to + "." + std::to_string(::getpid()) + ".old.tmp";
    rename_path(to, former);
    try {
      rename_path(from, to);
    } catch (const SystemError& error) {
      if (std::rename(former.c_str(), to.c_str()) == 0) throw;
      throw SystemError(std::string(error.what()) + "; what was at " + to + " is now " + former);
    }
  }
  sync_parent(to);
  std::error_code error;
  if (!former.empty()) std::filesystem::remove_all(former, error);
  if (error) throw SystemError(to + " is replaced, but the former one, " + former + ": " + error.message());
}

void make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw UserError(ExitCode::kCannotCreate, path + ": the folder cannot be made: " + error.message());
}

// A row of the table of mapped files. Rows are never freed but used again, so that the handler may read them at any
// time.
struct MappedFile::Mapping {
  std::atomic<const char*> begin{nullptr};  // null: the row is free
  size_t size = 0;
  std::string path;
  Mapping *next = nullptr, *next_free = nullptr;
};

// A signal handler can only reach static storage.
struct MappingTable {
  std::mutex mutex;  // for changes; the handler only reads
  std::atomic<MappedFile::Mapping*> first{nullptr};
  MappedFile::Mapping* first_free = nullptr;
  struct sigaction former {};  // the action that the handler replaced
};

namespace {

MappingTable& mappings() {
  static MappingTable* const table = new MappingTable;  // never destroyed: threads may outlive static objects
  return *table;
}

void put_error(std::string_view text) {
  const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(written);  // there is no other place to report it
}

// A page of a mapped file cannot be read. Only calls that a signal handler may make.
extern "C" void end_at_missing_page(int, siginfo_t* info, void*) {
  const char* const place = static_cast<const char*>(info->si_addr);
  for (const auto* row = mappings().first.load(); row != nullptr; row = row->next) {
    const char* const begin = row->begin.load();
    if (begin == nullptr || place < begin || place >= begin + row->size) continue;
    put_error("hyperx: ");
    put_error(row->path);
    put_error(": cannot be read any more: it was cut short while it was in use, or its disk fails. Restore the file, ");
    put_error("then run the same line again\n");
    ::_exit(static_cast<int>(ExitCode::kIo));
  }
  ::sigaction(SIGBUS, &mappings().former, nullptr);  // not ours: the access is repeated with the former action
}

// At each mapping, because MPI_Init installs an action of its own.
void handle_missing_pages() {
  struct sigaction action {};
  action.sa_sigaction = end_at_missing_page;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  struct sigaction former {};
  if (::sigaction(SIGBUS, &action, &former) != 0) throw SystemError("sigaction(SIGBUS): " + errno_text());
  if ((former.sa_flags & SA_SIGINFO) == 0 || former.sa_sigaction != end_at_missing_page) mappings().former = former;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(open_to_read(path));
  size_ = size_of(file, path);
  if (size_ == 0) return;
  void* const address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) fail_to_read(path, "cannot be mapped");
  data_ = static_cast<const char*>(address);
  try {
    refuse_git_lfs_pointer(path, view());
  } catch (...) {
    ::munmap(address, size_);
    throw;
  }
  const std::lock_guard<std::mutex> lock(mappings().mutex);
  handle_missing_pages();
  mapping_ = mappings().first_free;
  if (mapping_ != nullptr) {
    mappings().first_free = mapping_->next_free;
  } else {
    mapping_ = new Mapping;
    mapping_->next = mappings().first;
    mappings().first = mapping_;
  }
  mapping_->size = size_;
  mapping_->path = path;
  mapping_->begin = data_;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(mappings().mutex);
    mapping_->begin = nullptr;
    mapping_->next_free = std::exchange(mappings().first_free, mapping_);
  }
  ::munmap(const_cast<char*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  return *this;
}

}  // namespace hyperx
