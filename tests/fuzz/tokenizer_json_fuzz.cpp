#include "data/tokenizer/unigram/unigram.h"
#include "tests/fuzz/fuzz.h"

// A tokenizer.json, and the tokens of a text that holds special tokens and characters to normalise.
void hyperx::fuzz::parse(std::string_view input) {
  write("tokenizer.json", input);
  const auto tokenizer = data::Unigram::find(folder());
  if (tokenizer == nullptr) return;
  std::vector<int32_t> ids;
  tokenizer->line("a b  <mask> \xEF\xBC\xA1\xCC\x81 ab</s>", ids);
  for (const int32_t id : ids) touch(tokenizer->token(id));
}
