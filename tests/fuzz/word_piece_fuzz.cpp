#include "data/tokenizer/word_piece.h"
#include "tests/fuzz/fuzz.h"

// Text of any bytes, split into sub-words of a small vocabulary.
void hyperx::fuzz::parse(std::string_view input) {
  static const auto tokenizer = [](bool lower_case) {
    data::WordPieceOptions options;
    options.lower_case = options.strip_accents = lower_case;
    return data::WordPiece::from_text(
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\nab\n##ab\n,\n##\xC3\xA9\n\xE4\xB8\xAD\n", options,
        "vocab.txt");
  };
  static const data::WordPiece tokenizers[] = {tokenizer(false), tokenizer(true)};
  for (const data::WordPiece& each : tokenizers) {
    std::vector<int32_t> ids;
    each.line(input, ids);
    for (const int32_t id : ids) touch(each.token(id));
  }
}
