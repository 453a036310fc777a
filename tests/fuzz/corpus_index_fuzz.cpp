#include "data/corpus/corpus_index.h"
#include "tests/fuzz/fuzz.h"

// A corpus's index.json, as it is and with the right digest of itself; what is written of it reads back to the same
// text.
void hyperx::fuzz::parse(std::string_view input) {
  may_refuse([&] { data::CorpusIndex::from_json(std::string(input), "index.json"); });
  const auto index = data::CorpusIndex::from_json(with_right_digest(input, "\"index_xxh128\":\""), "index.json");
  const std::string text = index.to_json();
  const auto again = must_accept([&] { return data::CorpusIndex::from_json(text, "written.json"); });
  HYPERX_CHECK(again.to_json() == text, text);
  data::tasks_of(index);
}
