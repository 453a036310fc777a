#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/unigram/unigram_pieces.h"

namespace hyperx::data {

// The tokenizer of XLM-R and its relatives: characters normalised by a map, blanks written as ▁ in front of each word,
// then the segmentation of each word into pieces with the largest sum of scores (by the library SentencePiece). The
// same ids as Hugging Face's `tokenizers`, except where two segmentations have the same sum.
class Unigram final : public Tokenizer {
 public:
  static constexpr const char* kFiles = "tokenizer.json (Unigram), sentencepiece.bpe.model";

  // `name`: the file's, for messages. UserError (65): an empty or repeated piece, a score that is not finite, a special
  // token that is missing.
  Unigram(UnigramPieces pieces, const std::string& name);
  // Of a folder with tokenizer.json or sentencepiece.bpe.model; nullptr where there is neither.
  static std::unique_ptr<const Tokenizer> find(const std::string& folder);
  ~Unigram() override;

  void word(std::string_view word, std::vector<int32_t>& ids) const override { line(word, ids); }
  // Special tokens written out in the text become their ids, even inside a word.
  void line(std::string_view line, std::vector<int32_t>& ids) const override;

  const SpecialIds& special() const override;
  int32_t blank() const override;
  int32_t size() const override;
  const std::string& token(int32_t id) const override;
  const std::string& digest() const override;
  const std::string& file() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::data
