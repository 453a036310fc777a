#include "common/new_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/errors.h"
#include "common/files.h"

namespace hyperx {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const std::string& path) {
  throw UserError(ExitCode::kCannotCreate, path + " exists already; remove it, or name another folder");
}

}  // namespace

NewFolder::NewFolder(const std::string& path) : path_(without_slashes(fs::path(path).lexically_normal().string())) {
  std::error_code error;
  if (fs::symlink_status(path_, error).type() != fs::file_type::not_found) refuse(path_);
  const std::string parent = fs::path(path_).parent_path().string();
  if (!parent.empty()) make_folders(parent);
  temporary_ = path_ + "." + std::to_string(::getpid()) + ".tmp";
  const bool created = fs::create_directory(temporary_, error);
  if (error) throw UserError(ExitCode::kCannotCreate, temporary_ + ": the folder cannot be made: " + error.message());
  if (!created)
    throw UserError(ExitCode::kCannotCreate,
                    temporary_ + " is in the way, left by a process that was killed; remove it");
}

NewFolder::~NewFolder() {
  std::error_code ignored;  // a destructor cannot report it, and the name says that the folder is temporary
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void NewFolder::commit() {
  sync_path(temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) refuse(path_);
    throw SystemError(temporary_ + ": cannot be renamed to " + path_ + ": " + errno_text());
  }
  committed_ = true;
  const std::string parent = fs::path(path_).parent_path().string();
  sync_path(parent.empty() ? "." : parent);
}

}  // namespace hyperx
