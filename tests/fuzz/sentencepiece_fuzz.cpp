#include "data/tokenizer/unigram/unigram.h"
#include "tests/fuzz/fuzz.h"

// A sentencepiece.bpe.model, and the tokens of a text that holds special tokens and characters to normalise.
void hyperx::fuzz::parse(std::string_view input) {
  write("sentencepiece.bpe.model", input);
  const auto tokenizer = data::Unigram::find(folder());
  std::vector<int32_t> ids;
  tokenizer->line("a b  <mask> \xEF\xBC\xA1\xCC\x81 ab</s>", ids);
  for (const int32_t id : ids) touch(tokenizer->token(id));
}
