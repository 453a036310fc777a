#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace hyperx {

// A file or folder PATH.PID.tmp that process PID made next to PATH.
struct Leftover {
  std::string path;
  pid_t process = 0;
};

// Those of `path` whose names end in `end` (".tmp"). None if the folder cannot be listed.
std::vector<Leftover> leftovers_of(const std::string& path, std::string_view end);

// Whether a process of this machine has this number.
bool is_alive(pid_t process);

}  // namespace hyperx
