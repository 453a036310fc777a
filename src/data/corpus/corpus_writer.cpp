#include "data/corpus/corpus_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"

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
    : path_(fs::path(path).lexically_normal().string()), temporary_() {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  temporary_ = path_ + ".tmp";
  if (fs::exists(path_) && !is_empty_folder(path_)) {
    if (!fs::exists(path_ + "/" + kCorpusIndexName)) {
      throw UserError(ExitCode::kCannotCreate,
                      "data.corpus: " + path_ + " exists and is no corpus; name a folder that does not exist");
    }
    if (!force) {
      throw UserError(ExitCode::kCannotCreate,
                      "data.corpus: " + path_ + " holds a corpus already; --force replaces it, or name another folder");
    }
  }
  if (fs::exists(temporary_) && !is_empty_folder(temporary_) && !fs::exists(temporary_ + "/" + kMarkerName))
    throw UserError(ExitCode::kCannotCreate, temporary_ + " is in the way and was not made by prepare; remove it");
  take();
}

void CorpusFolder::take() {
  make_folders(temporary_);
  const std::string marker = temporary_ + "/" + kMarkerName;
  lock_ = ::open(marker.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) throw UserError(ExitCode::kCannotCreate, marker + ": cannot be created: " + errno_text());
  // The lock's previous holder may have removed or renamed the folder since: the locked file must be the current one.
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 || inode_of(lock_) != inode_of(marker)) {
    ::close(lock_);
    throw UserError(ExitCode::kCannotCreate, temporary_ +
                                                 ": another prepare is writing this corpus now; wait for it, or name "
                                                 "another data.corpus");
  }
  for (const auto& entry : fs::directory_iterator(temporary_))  // left by a killed process
    if (entry.path().filename() != kMarkerName) fs::remove_all(entry.path());
}

CorpusFolder::~CorpusFolder() {
  std::error_code ignored;  // an error cannot be handled here; the next prepare tries again
  if (!committed_) fs::remove_all(temporary_, ignored);
  ::close(lock_);
}

void CorpusFolder::commit() {
  sync_path(temporary_);
  replace_folder(temporary_, path_);
  committed_ = true;
  fs::remove(path_ + "/" + kMarkerName);  // after the rename: another prepare must not take over the folder before it
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
