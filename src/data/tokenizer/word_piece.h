#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hyperx::data {

// Options of BERT's normaliser, from tokenizer_config.json beside vocab.txt. Where it or its do_lower_case is absent,
// text is lower-cased if no sub-word holds a capital letter; the rest is as here.
struct WordPieceOptions {
  bool lower_case = false;
  bool strip_accents = false;            // null in the file: as lower_case
  bool split_chinese_characters = true;  // each ideograph is a word of its own
  std::string unk_token = "[UNK]", cls_token = "[CLS]", sep_token = "[SEP]", pad_token = "[PAD]", mask_token = "[MASK]";
};

// BERT's tokeniser: clean-up, ideographs, accents, lower case, split at white space and punctuation, then greedy
// longest match with ## continuations; the same ids as Hugging Face's `tokenizers`. Immutable, so one may be shared by
// threads.
class WordPiece {
 public:
  // `folder` holds vocab.txt (one sub-word a line, its id is the line number from 0) and perhaps tokenizer_config.json.
  // UserError: 66 missing; 65 empty or repeated line, invalid UTF-8, a special token that is not there (file and line
  // named).
  static WordPiece load(const std::string& folder);
  static WordPiece from_text(std::string_view vocabulary, const WordPieceOptions& options, const std::string& name);

  WordPiece(WordPiece&&) noexcept;
  WordPiece& operator=(WordPiece&&) noexcept;
  ~WordPiece();

  // Appends the ids of a text, without [CLS] and [SEP], untruncated; may append nothing. Special tokens written out in
  // the text become their ids, even inside a word. Any bytes are allowed; what is not UTF-8 is dropped as U+FFFD is.
  void tokenize_line(std::string_view line, std::vector<int32_t>& ids) const;
  // One word of a list. BERT treats it as a text of its own: it may hold spaces and punctuation.
  void tokenize_word(std::string_view word, std::vector<int32_t>& ids) const { tokenize_line(word, ids); }

  int32_t vocabulary_size() const;
  const std::string& token(int32_t id) const;  // 0 <= id < vocabulary_size()
  int32_t unk_id() const;
  int32_t cls_id() const;
  int32_t sep_id() const;
  int32_t pad_id() const;
  int32_t mask_id() const;
  bool is_special(int32_t id) const;  // one of these five
  const WordPieceOptions& options() const;
  // SHA-256 of vocabulary and options: two tokenisers with the same digest give the same ids.
  const std::string& digest() const;

 private:
  struct State;
  explicit WordPiece(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::data
