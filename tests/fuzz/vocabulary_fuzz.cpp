#include "data/tokenizer/word_piece.h"
#include "tests/fuzz/fuzz.h"

// A vocab.txt, with and without lower-casing, and the tokens of its own text.
void hyperx::fuzz::parse(std::string_view input) {
  for (const bool lower_case : {false, true}) {
    data::WordPieceOptions options;
    options.lower_case = options.strip_accents = lower_case;
    const data::WordPiece tokenizer = data::WordPiece::from_text(std::string(input), options, "vocab.txt");
    std::vector<int32_t> ids;
    tokenizer.line(input, ids);
    for (const int32_t id : ids) touch(tokenizer.token(id));
  }
}
