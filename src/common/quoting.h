#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hyperx {

// A command as a line of a shell script: words that need it are quoted.
std::string shell_line(const std::vector<std::string>& words);

// RFC 4180: in quotes where needed.
std::string csv_field(std::string_view text);

}  // namespace hyperx
