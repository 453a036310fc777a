#pragma once

#include <string>
#include <vector>

#include "common/errors.h"

// Tells a file that is not there from one that cannot be read now.
namespace hyperx {

// Something is there but cannot be read now: an I/O error, too many open files, no memory (exit code 74), no permission
// (66). It says nothing about the content, which may be whole.
class ReadError : public UserError {
 public:
  using UserError::UserError;
};

// Throws for the system call on `path` that just failed, from errno: a plain UserError (66) if nothing readable has
// this name, otherwise ReadError. `what`: such as "cannot be opened".
[[noreturn]] void fail_to_read(const std::string& path, const std::string& what);

enum class PathKind { kNothing, kFile, kFolder, kOther };
// What `path` names, links followed. ReadError: it cannot be determined now.
PathKind kind_of(const std::string& path);

// Names of everything in a folder, sorted; empty if there is no such folder. ReadError: it cannot be listed now.
std::vector<std::string> names_in(const std::string& folder);

}  // namespace hyperx
