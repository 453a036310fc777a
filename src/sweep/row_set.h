#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hyperx::sweep {

// Numbers written as "1,4-7", ascending and without repetitions. UserError (64) naming `option`: other text, or a
// number outside 1 to `most`.
std::vector<int64_t> parse_row_set(const std::string& text, int64_t most, const std::string& option);
// The reverse; `numbers` ascend.
std::string row_set_text(const std::vector<int64_t>& numbers);

}  // namespace hyperx::sweep
