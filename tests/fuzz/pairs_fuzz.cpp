#include "data/tasks/pair.h"
#include "tests/fuzz/fuzz.h"

// A pair and a set of pairs, as the command line names them.
void hyperx::fuzz::parse(std::string_view input) {
  static const std::vector<data::Pair> available = {
      {"pos", "en"}, {"pos", "tr"}, {"ner", "en"}, {"ner", "yo@masakhaner2"}, {"mlm", "en"}};
  const std::string text(input);
  may_refuse([&] { HYPERX_CHECK(data::parse_pair(text).name() == text, "a pair that reads otherwise"); });
  data::select_pairs(text, available, "train.pairs");
}
