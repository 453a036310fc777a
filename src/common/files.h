#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hyperx {

// Whole file as a string. UserError (66): missing, a directory, no permission; names the path and the cause.
std::string read_file(const std::string& path);

// Writes `path`.PID.tmp, fsync, rename, fsync of the folder: readers see the old file or the new one, never a part.
// SystemError (74) on failure (disk full, no permission), with the temporary file removed.
void write_file_atomically(const std::string& path, std::string_view content);

// Makes what was written to `path` (file or folder) survive a power cut. SystemError (74).
void sync_path(const std::string& path);

// Lets the disk begin with what was written to `path` so far, without waiting for it. A hint: never fails.
void start_write_back(const std::string& path);

// Folder and its parents. UserError (73) naming the first part that cannot be made.
void make_folders(const std::string& path);

// Puts the folder `from` in the place of `to`, removes what was there and syncs the folder above. Where the file system
// can exchange two names there is no moment without a `to`; elsewhere, or without `may_exchange`, the former one is
// named TO.PID.old.tmp for that moment, and gets its name back if `from` cannot take it.
// SystemError (74): `to` stands as before, or (told by the message) the former one could not be removed or named back.
void replace_folder(const std::string& from, const std::string& to, bool may_exchange = true);

// A read-only memory map. Empty files map to size 0 and data() == nullptr.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path);  // UserError (66) as read_file
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
};

}  // namespace hyperx
