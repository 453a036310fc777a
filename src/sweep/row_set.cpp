#include "sweep/row_set.h"

#include <algorithm>
#include <sstream>

#include "common/config/make_option.h"
#include "common/errors.h"

namespace hyperx::sweep {

std::vector<int64_t> parse_row_set(const std::string& text, int64_t most, const std::string& option) {
  const auto refuse = [&](const std::string& why) {
    throw UserError(ExitCode::kUsage, option + " '" + text + "': " + why);
  };
  std::vector<int64_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = part.find('-');
    int64_t first = 0, last = 0;
    const bool good =
        config::read_value(part.substr(0, dash), first) == config::Reading::kGood &&
        config::read_value(dash == part.npos ? part : part.substr(dash + 1), last) == config::Reading::kGood;
    if (!good || first > last) refuse("expected numbers and ranges, such as 1,4-7");
    if (first < 1 || last > most) refuse("the numbers are 1 to " + std::to_string(most));
    for (int64_t number = first; number <= last; ++number) numbers.push_back(number);
  }
  if (numbers.empty()) refuse("expected numbers and ranges, such as 1,4-7");
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::string row_set_text(const std::vector<int64_t>& numbers) {
  std::string text;
  for (size_t first = 0, last = 0; first < numbers.size(); first = last + 1) {
    last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(numbers[first]);
    if (last > first) text += "-" + std::to_string(numbers[last]);
  }
  return text;
}

}  // namespace hyperx::sweep
