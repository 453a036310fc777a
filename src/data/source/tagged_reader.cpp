#include "data/source/tagged_reader.h"

namespace hyperx::data {

bool TaggedReader::read(Sentence& sentence) {
  std::string_view line;
  while (lines_.next(line)) {
    if (is_blank(line)) {
      if (!sentence.words.empty()) return true;
      continue;
    }
    const int64_t number = lines_.number();
    if (!columns_.split(line, number)) continue;
    if (sentence.words.empty()) sentence.first_line = number;
    sentence.words.push_back(clean(columns_.word()));
    sentence.lines.push_back(number);
    if (spec_.read_tags) add_tag(sentence, *columns_.tag(), number);
  }
  return !sentence.words.empty();
}

}  // namespace hyperx::data
