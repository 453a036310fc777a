#pragma once

#include <string>
#include <string_view>

namespace hyperx {

// `message` with every quoted value ('...') and every word cut to 200 bytes, and the whole to 4000 by leaving out its
// middle. "..." stands for what is left out. Characters of UTF-8 are kept whole.
std::string with_short_values(std::string_view message);

}  // namespace hyperx
