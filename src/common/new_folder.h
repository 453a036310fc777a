#pragma once

#include <string>

namespace hyperx {

// A folder that appears whole or not at all: its files are written into PATH.PID.tmp, which commit() renames to PATH.
// Without commit() the destructor removes the temporary folder.
class NewFolder {
 public:
  // UserError (73): `path` exists, the temporary folder exists, or it cannot be created. Makes the parent folders.
  explicit NewFolder(const std::string& path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::string& path() const { return path_; }            // without slashes at its end
  const std::string& temporary() const { return temporary_; }  // where the files are written
  // Syncs both folders; the files must be synced already. UserError (73): another process made `path` meanwhile.
  // SystemError (74): renaming failed for another reason.
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

}  // namespace hyperx
