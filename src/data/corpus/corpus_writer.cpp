#include "data/corpus/corpus_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "common/host.h"
#include "common/leftovers.h"
#include "common/log.h"

namespace hyperx::data {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMarkerName = ".hyperx-prepare";  // marks a temporary folder as ours to remove

bool is_empty_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && fs::is_empty(path, error);
}

// 0: no such file.
ino_t inode_of(int file) {
  struct stat status {};
  return ::fstat(file, &status) == 0 ? status.st_ino : 0;
}
ino_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

std::string marker_in(const std::string& folder) { return folder + "/" + kMarkerName; }

// The process that wrote a marker; empty: an empty file, which is not written yet.
struct Owner {
  std::string host;
  pid_t process = 0;
};
Owner owner_in(const std::string& marker) {
  Owner owner;
  std::ifstream(marker) >> owner.host >> owner.process;
  return owner;
}

struct Writer {
  h5::File file;
  SplitEntry* split;

  template <class T>
  void write(const char* name, h5::Type type, const std::vector<T>& values) {
    DatasetEntry entry;
    entry.name = split->name + "/" + name;
    entry.type = h5::name_of(type);
    entry.count = static_cast<int64_t>(values.size());
    entry.xxh128 = xxh128_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
    file.write(entry.name, type, {entry.count}, values.data());
    split->datasets.push_back(std::move(entry));
  }
};

void write_split(Writer& writer, const SplitArrays& arrays) {
  writer.write("token_ids", h5::Type::kInt32, arrays.token_ids);
  writer.write("sentence_starts", h5::Type::kInt64, arrays.sentence_starts);
  if (!arrays.masked) {
    writer.write("word_positions", h5::Type::kInt32, arrays.word_positions);
    writer.write("word_starts", h5::Type::kInt64, arrays.word_starts);
    writer.write("labels", h5::Type::kInt32, arrays.labels);
  }
  if (!arrays.seen.empty()) writer.write("seen", h5::Type::kUInt8, arrays.seen);
}

}  // namespace

CorpusFolder::CorpusFolder(const std::string& path, bool force)
    : path_(without_slashes(fs::path(path).lexically_normal().string())) {
  temporary_ = path_ + ".tmp";
  refuse_existing(force);
  if (fs::exists(temporary_) && !is_empty_folder(temporary_) && !fs::exists(marker_in(temporary_)) &&
      !fs::exists(marker_in(path_)))
    throw UserError(ExitCode::kCannotCreate, temporary_ + " is in the way and was not made by prepare; remove it");
  if (fs::exists(marker_in(path_)))
    ::close(lock_marker(path_));  // of one that was killed while it removed the old corpus
  make_folders(temporary_);
  lock_ = lock_marker(temporary_);
  try {
    remove_leftovers();
    refuse_existing(force);
  } catch (...) {
    release();
    throw;
  }
}

void CorpusFolder::refuse_existing(bool force) const {
  if (!fs::exists(path_) || is_empty_folder(path_)) return;
  if (!fs::exists(path_ + "/" + kCorpusIndexName)) {
    throw UserError(ExitCode::kCannotCreate,
                    "data.corpus: " + path_ + " exists and is no corpus; name a folder that does not exist");
  }
  if (!force) {
    throw UserError(ExitCode::kCannotCreate,
                    "data.corpus: " + path_ + " holds a corpus already; --force replaces it, or name another folder");
  }
}

int CorpusFolder::lock_marker(const std::string& folder) const {
  const std::string marker = marker_in(folder);
  const int file = ::open(marker.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) throw UserError(ExitCode::kCannotCreate, marker + ": cannot be created: " + errno_text());
  int failed = 0;
  do {
    failed = ::flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  } while (failed == EINTR);
  const Owner owner = owner_in(marker);
  const bool elsewhere = !owner.host.empty() && owner.host != host_name();
  // The lock's previous holder may have removed or renamed the folder since: the locked file must be the current one.
  const bool taken = failed == 0 ? inode_of(file) != inode_of(marker)
                     : failed == EWOULDBLOCK
                         ? true
                         : !elsewhere && owner.process > 0 && owner.process != ::getpid() && is_alive(owner.process);
  if (taken) {
    ::close(file);
    throw UserError(ExitCode::kCannotCreate, folder +
                                                 ": another prepare is writing this corpus now; wait for it, or name "
                                                 "another data.corpus");
  }
  if (failed != 0 && elsewhere)
    log::warning("{}: this file system has no locks ({}): make sure that process {} on {} no longer writes this corpus",
                 marker, std::generic_category().message(failed), owner.process, owner.host);
  const std::string mine = host_name() + " " + std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, mine.data(), mine.size(), 0) != std::ssize(mine)) {
    const std::string reason = errno_text();
    ::close(file);
    throw SystemError(marker + ": cannot be written: " + reason);
  }
  return file;
}

void CorpusFolder::remove_leftovers() const {
  fs::remove(marker_in(path_));
  for (const auto& entry : fs::directory_iterator(temporary_))
    if (entry.path().filename() != kMarkerName) fs::remove_all(entry.path());
  // What replace_folder() calls the old corpus where the file system cannot exchange two names.
  for (const Leftover& old : leftovers_of(path_, ".old.tmp")) {
    if (fs::exists(path_)) {
      fs::remove_all(old.path);
    } else {
      fs::rename(old.path, path_);
      log::warning("{}: the old corpus is back, because the prepare that was replacing it was killed", path_);
    }
  }
}

void CorpusFolder::release() {
  std::error_code ignored;  // an error cannot be handled here; the next prepare tries again
  if (!committed_) fs::remove_all(temporary_, ignored);
  ::close(lock_);
}

CorpusFolder::~CorpusFolder() { release(); }

void CorpusFolder::commit() {
  sync_path(temporary_);
  replace_folder(temporary_, path_);
  committed_ = true;
  // Last: until then the marker says that what is in temporary_ without a marker is the old corpus, and locks both.
  fs::remove(marker_in(path_));
}

void write_pair(const std::string& folder, const std::vector<std::pair<std::string, const SplitArrays*>>& splits,
                PairEntry& entry) {
  entry.file = entry.pair.file_name() + ".h5";
  const std::string path = folder + "/" + entry.file;
  Writer writer{h5::File::create(path), nullptr};
  writer.file.set_attribute("", "format_version", static_cast<int64_t>(kCorpusFormatVersion));
  writer.file.set_attribute("", "pair", entry.pair.name());
  for (const auto& [name, arrays] : splits) {
    for (SplitEntry& split : entry.splits) {
      if (split.name == name) writer.split = &split;
    }
    write_split(writer, *arrays);
  }
  writer.file.close();
  // The offsets of the arrays are known for certain only from the closed file.
  const h5::File closed = h5::File::open(path);
  for (SplitEntry& split : entry.splits) {
    for (DatasetEntry& dataset : split.datasets) {
      dataset.offset = dataset.count == 0 ? -1 : closed.info(dataset.name).file_offset;
    }
  }
  entry.bytes = static_cast<int64_t>(fs::file_size(path));
  entry.xxh128 = xxh128_of_file(path);
}

}  // namespace hyperx::data
