#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hyperx::data {

// The sub-words of a vocab.txt: the id of a token is its line number, from 0.
class Vocabulary {
 public:
  // `name` is the file's name in messages. UserError (65): an empty or repeated line, invalid UTF-8, or no line at all.
  Vocabulary(std::string_view text, std::string name);
  Vocabulary(Vocabulary&&) noexcept = default;  // no copies: ids_ refers to tokens_
  Vocabulary& operator=(Vocabulary&&) noexcept = default;

  const std::string& name() const { return name_; }
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  const std::string& token(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  int32_t find(std::string_view token) const;       // -1: absent
  int32_t require(const std::string& token) const;  // UserError (65) if absent
  // True if no word has a capital letter A-Z (names in brackets excepted): the vocabulary was made for lower-cased
  // text.
  bool is_lower_case() const;

 private:
  std::string name_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views of tokens_
};

}  // namespace hyperx::data
