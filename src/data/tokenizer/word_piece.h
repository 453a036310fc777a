#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace hyperx::data {

// Options of BERT's normaliser, from tokenizer_config.json next to vocab.txt. If that file or its do_lower_case is
// absent, text is lower-cased if no sub-word holds a capital letter; the other options have the defaults below.
struct WordPieceOptions {
  bool lower_case = false;
  bool strip_accents = false;            // null in the file: as lower_case
  bool split_chinese_characters = true;  // each ideograph is a word of its own
  std::string unk_token = "[UNK]", cls_token = "[CLS]", sep_token = "[SEP]", pad_token = "[PAD]", mask_token = "[MASK]";
};

// BERT's tokeniser: clean-up, ideographs, accents, lower case, split at white space and punctuation, then greedy
// longest match with ## continuations; the same ids as Hugging Face's `tokenizers`. Immutable, so one may be shared by
// threads.
class WordPiece final : public Tokenizer {
 public:
  static constexpr const char* kFile = "vocab.txt";  // one sub-word per line; its id is the line number from 0

  // A folder with vocab.txt and optionally tokenizer_config.json. UserError: 66 missing; 65 empty or repeated line,
  // invalid UTF-8, a special token that is not in the vocabulary (naming file and line).
  static WordPiece from_folder(const std::string& folder);
  static WordPiece from_text(std::string_view vocabulary, const WordPieceOptions& options, const std::string& name);
  // The same as from_folder; nullptr where there is no vocab.txt.
  static std::unique_ptr<const Tokenizer> find(const std::string& folder);

  WordPiece(WordPiece&&) noexcept;
  WordPiece& operator=(WordPiece&&) noexcept;
  ~WordPiece() override;

  // BERT treats each word of a list as a text: it may hold spaces and punctuation.
  void word(std::string_view word, std::vector<int32_t>& ids) const override { line(word, ids); }
  // Special tokens written out in the text become their ids, even inside a word. Invalid UTF-8 is dropped, like U+FFFD.
  void line(std::string_view line, std::vector<int32_t>& ids) const override;

  const SpecialIds& special() const override;
  int32_t size() const override;
  const std::string& token(int32_t id) const override;
  const std::string& digest() const override;
  const std::string& file() const override;
  const WordPieceOptions& options() const;

 private:
  struct State;
  explicit WordPiece(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::data
