#include "data/source/tagged_reader.h"

#include <spdlog/fmt/fmt.h>

namespace hyperx::data {

bool TaggedReader::read(Sentence& sentence) {
  std::string_view line;
  while (lines_.next(line)) {
    if (is_blank(line)) {
      if (!sentence.words.empty()) return true;
      continue;
    }
    if (!spec_.comment.empty() && line.starts_with(spec_.comment)) continue;
    add_word(line, sentence);
  }
  return !sentence.words.empty();
}

void TaggedReader::cut(std::string_view line) {
  const bool named = spec_.word_column > 0 || spec_.tag_column > 0;
  if (line.find('\t') != std::string_view::npos) return split_columns(line, '\t', false, columns_);
  if (named) return split_columns(line, ' ', true, columns_);
  line = line.substr(0, line.find_last_not_of(' ') + 1);
  const size_t last = line.rfind(' ');
  columns_ = {line};
  if (last == std::string_view::npos) return;
  columns_ = {line.substr(0, line.find_last_not_of(' ', last) + 1), line.substr(last + 1)};
}

std::string_view TaggedReader::column(int number, size_t otherwise, const char* what) const {
  const size_t index = number > 0 ? static_cast<size_t>(number) - 1 : otherwise;
  if (index < columns_.size()) return columns_[index];
  lines_.fail(lines_.number(),
              fmt::format("no column for the {}, value {}={} of {} columns: correct word= and tag= in the manifest",
                          what, what, number, columns_.size()));
}

void TaggedReader::add_word(std::string_view line, Sentence& sentence) {
  cut(line);
  const int64_t number = lines_.number();
  if (columns_.size() < 2 && spec_.read_tags)
    lines_.fail(
        number,
        fmt::format("one column where a word and its tag are expected, value '{}': separate them by a tab or a space, "
                    "or name what to skip by comment=",
                    line.substr(0, 80)));
  std::string_view word = column(spec_.word_column, 0, "word");
  if (spec_.strip_prefix) {
    const size_t colon = word.find(':');
    if (colon == std::string_view::npos)
      lines_.fail(
          number,
          fmt::format(
              "no language prefix, value '{}': lines are `lang:word` with prefix=strip; else leave that option out",
              word));
    word.remove_prefix(colon + 1);
  }
  if (word.empty()) lines_.fail(number, fmt::format("an empty word, value '{}': correct or remove the line", line));
  if (sentence.words.empty()) sentence.first_line = number;
  sentence.words.push_back(clean(word));
  sentence.lines.push_back(number);
  if (spec_.read_tags) add_tag(sentence, column(spec_.tag_column, columns_.size() - 1, "tag"), number);
}

}  // namespace hyperx::data
