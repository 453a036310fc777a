#include "data/source/text_reader.h"

namespace hyperx::data {

bool TextReader::read(Sentence& sentence) {
  std::string_view line;
  do {
    if (!lines_.next(line)) return false;
  } while (is_blank(line));
  sentence.words.push_back(clean(line));
  sentence.lines.push_back(lines_.number());
  sentence.first_line = lines_.number();
  return true;
}

}  // namespace hyperx::data
