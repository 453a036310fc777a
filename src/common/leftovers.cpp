#include "common/leftovers.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>

namespace hyperx {

std::vector<Leftover> leftovers_of(const std::string& path, std::string_view end) {
  const std::filesystem::path whole(path);
  const std::string begin = whole.filename().string() + ".";
  const std::string folder = whole.parent_path().empty() ? "." : whole.parent_path().string();
  std::vector<Leftover> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), last; !error && entry != last;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(begin) || !name.ends_with(end) || name.size() <= begin.size() + end.size()) continue;
    Leftover leftover{entry->path().string(), 0};
    const char* const stop = name.data() + name.size() - end.size();
    const auto number = std::from_chars(name.data() + begin.size(), stop, leftover.process);
    if (number.ec == std::errc() && number.ptr == stop && leftover.process > 0) found.push_back(leftover);
  }
  return found;
}

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno == EPERM; }

}  // namespace hyperx
