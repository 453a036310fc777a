#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hyperx::data {

// Ids of the special tokens, which no word contains.
struct SpecialIds {
  int32_t begin = 0, end = 0;  // around every sentence: [CLS] and [SEP], <s> and </s>
  int32_t mask = 0;            // replaces a sub-word that a masked language model has to predict
  int32_t pad = 0;
  int32_t unknown = 0;
};

constexpr int64_t kFrameTokens = 2;  // tokens that begin and end add to a sentence

// Splits words into the sub-words of an encoder's vocabulary, whose ids are [0, size()); a masked language model draws
// its random replacements from all of them. Immutable, so threads may share one. Each kind of tokenizer is one class
// and one row of tokenizer.cpp.
class Tokenizer {
 public:
  // Reads the vocabulary in an encoder's folder; the files there determine its kind. UserError: 66 there is none,
  // naming the folder and the files that were looked for; 65 a file is damaged.
  static std::unique_ptr<const Tokenizer> load(const std::string& folder);

  virtual ~Tokenizer() = default;

  // Appends the ids of one word of a sentence that is already split into words. Any bytes are allowed; may append
  // nothing.
  virtual void word(std::string_view word, std::vector<int32_t>& ids) const = 0;
  // Appends the ids of a text, untruncated and without special().begin and end.
  virtual void line(std::string_view line, std::vector<int32_t>& ids) const = 0;

  virtual const SpecialIds& special() const = 0;
  virtual int32_t blank() const { return -1; }  // the sub-word that is only a blank, ▁; -1: there is none
  virtual int32_t size() const = 0;
  virtual const std::string& token(int32_t id) const = 0;  // 0 <= id < size()
  // SHA-256 of vocabulary and options: two tokenizers with the same digest give the same ids.
  virtual const std::string& digest() const = 0;
  // Path of the vocabulary, for messages.
  virtual const std::string& file() const = 0;
};

// Which sub-word of a word carries its label (data.label_position): "first", or "after-blank", the first that is not a
// bare blank. In languages that write no blanks between words, most words begin with a bare one, which says nothing.
std::string resolved_label_position(const std::string& option, const Tokenizer& tokenizer);  // what auto means for it
// Place in `ids`, a word's sub-words (at least one).
size_t label_place(std::span<const int32_t> ids, const Tokenizer& tokenizer, const std::string& position);

}  // namespace hyperx::data
