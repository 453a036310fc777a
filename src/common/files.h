#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hyperx {

// Opens for reading; the caller closes the descriptor. Everything that is read is opened here. UserError (66), naming
// path and cause: missing, or not a regular file, such as a pipe without a writer or a device, which could be read
// without end; ReadError (read_error.h): it cannot be read now. Two exceptions:
//   kText: a text that a user names on the command line, which may come from a pipe or a terminal
//   kFile: a pipe that the caller's shell has opened, such as /dev/stdin and bash's <(...)
enum class InputKind { kFile, kText };
int open_to_read(const std::string& path, InputKind kind = InputKind::kFile);

// The whole file as a string. Throws as open_to_read(); UserError (65): larger than 1 GiB, or a Git LFS pointer, not
// the file.
std::string read_file(const std::string& path);

std::string without_slashes(std::string path);  // without those at its end; "/" stays

// True for a name within a folder: not empty, "." or "..", and without '/'.
bool is_plain_name(std::string_view name);

// Writes `path`.PID.tmp, then fsync, rename, fsync of the folder: readers see the old file or the new one, never a
// part.
// SystemError (74) on failure (disk full, no permission), with the temporary file removed.
void write_file_atomically(const std::string& path, std::string_view content);

// Removes files of `folder` called NAME.PID.tmp whose process no longer runs on this machine: what
// write_file_atomically() left when it was killed. Never fails.
void remove_dead_temporaries(const std::string& folder);

// A file that is written piece by piece. It replaces a file of that name at once, so `path` should be a temporary name.
// All calls throw SystemError: 73 if it cannot be created, 74 if writing fails.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();  // closes it; only finish() makes sure that the content is on the disk
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(std::string_view content);
  void finish();  // fsync and close; no write() after it

 private:
  std::string path_;
  int fd_ = -1;
};

// Makes the content of `path` (file or folder) survive a power failure. SystemError (74).
void sync_path(const std::string& path);

// Asks the kernel to start writing the dirty pages of `path` to disk, without waiting. A hint: never fails.
void start_write_back(const std::string& path);

// Creates the folder and its parents. UserError (73) naming the first part that cannot be created.
void make_folders(const std::string& path);

// Moves the folder `from` to `to`, removes the folder that was there and syncs the parent folder. Where the file system
// can exchange two names, `to` exists at every moment. Elsewhere, or without `may_exchange`, the old folder is named
// TO.PID.old.tmp for a moment, and gets its name back if `from` cannot be moved.
// SystemError (74): `to` is unchanged, or the old folder could not be removed or renamed back (the message says which).
void replace_folder(const std::string& from, const std::string& to, bool may_exchange = true);

// A read-only memory map. Empty files map to size 0 and data() == nullptr. If the file is cut short while it is mapped,
// or its disk fails, the process ends with a message that names it and code 74 at the first use of what is missing.
class MappedFile {
 public:
  struct Mapping;
  MappedFile() = default;
  explicit MappedFile(const std::string& path);  // throws as open_to_read()
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
  Mapping* mapping_ = nullptr;  // entry of the table of all mapped files, null if nothing is mapped
};

}  // namespace hyperx
