#include "data/tokenizer/vocabulary.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/errors.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {

Vocabulary::Vocabulary(std::string_view text, std::string name) : name_(std::move(name)) {
  const auto fail = [&](const std::string& what) {
    throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}", name_, tokens_.size() + 1, what));
  };
  text = without_byte_order_mark(text);
  tokens_.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty())
      fail("empty line in a vocabulary: each line holds one sub-word, its number is the id; fetch the file again");
    if (find_invalid_utf8(line) != std::string_view::npos) fail("invalid UTF-8 in a vocabulary: fetch the file again");
    tokens_.emplace_back(line);
  }
  if (tokens_.empty()) fail("the vocabulary is empty: fetch the file again");
  ids_.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto [first, fresh] = ids_.emplace(tokens_[i], static_cast<int32_t>(i));
    if (fresh) continue;
    throw UserError(
        ExitCode::kBadData,
        fmt::format("{}:{}: sub-word '{}' stands on line {} already: ids would be ambiguous; fetch the file again",
                    name_, i + 1, tokens_[i], first->second + 1));
  }
}

int32_t Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

int32_t Vocabulary::require(const std::string& token) const {
  const int32_t id = find(token);
  if (id < 0)
    throw UserError(ExitCode::kBadData,
                    fmt::format("{}:{}: the special token '{}' is not among the {} lines: is this the encoder's "
                                "vocabulary? tokenizer_config.json beside it can name others",
                                name_, tokens_.size(), token, tokens_.size()));
  return id;
}

bool Vocabulary::is_lower_case() const {
  return std::none_of(tokens_.begin(), tokens_.end(), [](const std::string& token) {
    return !token.starts_with('[') &&
           std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  });
}

}  // namespace hyperx::data
