#include "data/tokenizer/vocabulary.h"
#include "tests/fuzz/fuzz.h"

// A vocab.txt, and the look-up of each of its sub-words.
void hyperx::fuzz::parse(std::string_view input) {
  const data::Vocabulary vocabulary(std::string(input), "vocab.txt");
  for (int32_t id = 0; id < vocabulary.size(); ++id)
    HYPERX_CHECK(vocabulary.find(vocabulary.token(id)) == id, "a sub-word that is not found");
  vocabulary.is_lower_case();
  vocabulary.require("[UNK]");
}
