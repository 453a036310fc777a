#include "data/tokenizer/word_piece.h"
#include "tests/fuzz/fuzz.h"

// A tokenizer_config.json next to a vocab.txt.
void hyperx::fuzz::parse(std::string_view input) {
  static const std::string vocabulary = write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n");
  write("tokenizer_config.json", input);
  std::vector<int32_t> ids;
  data::WordPiece::from_folder(folder()).line("ab, [MASK] A\xC3\x89", ids);
}
