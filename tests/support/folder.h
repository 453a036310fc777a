#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/errors.h"
#include "common/files.h"

namespace hyperx::test {

// A new folder, removed with all that is in it at the end.
class TemporaryFolder {
 public:
  enum class Where { kDisk, kMemory };  // memory: where a disk's fsync would be most of a test's time
  explicit TemporaryFolder(Where where = Where::kDisk) {
    const bool in_memory = where == Where::kMemory && access("/dev/shm", W_OK) == 0;
    path_ = in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    path_ += "/hyperx-test-XXXXXX";
    HYPERX_CHECK(mkdtemp(path_.data()) != nullptr, "no temporary folder: " + errno_text());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  // Writes a file, with the folders above it, and returns its path.
  std::string write(const std::string& name, const std::string& content) const {
    make_folders(std::filesystem::path(path(name)).parent_path().string());
    write_file_atomically(path(name), content);
    return path(name);
  }

 private:
  std::string path_;
};

}  // namespace hyperx::test
