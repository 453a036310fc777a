#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/source/line_source.h"
#include "data/source/sentence_reader.h"

namespace hyperx::data {

// The text of a CoNLL-U line that holds the tag: one column, or several with the tabs between them.
std::string_view tag_columns(const std::vector<std::string_view>& columns, const SourceSpec& spec);

// What the readers of all formats share: lines, labels, the limit, and the check for a file without sentences.
class SourceReader : public SentenceReader {
 public:
  SourceReader(const SourceSpec& spec, const Task& task);
  bool next(Sentence& sentence) final;

 protected:
  virtual bool read(Sentence& sentence) = 0;  // `sentence` is empty; false: end of file
  virtual void at_end() {}                    // called at the end of the file or limit, for checks of the whole file

  // Adds the word's tag, after the label map and the tagging scheme, and its label. An unknown tag is an error.
  void add_tag(Sentence& sentence, std::string_view tag, int64_t line);
  // `word`, without diacritics if the spec says so.
  std::string_view clean(std::string_view word);

  const SourceSpec spec_;
  LineSource lines_;

 private:
  struct Label {
    std::string tag;
    LabelId index;
  };
  const Label& resolve(std::string_view tag, int64_t line);
  [[noreturn]] void fail_unknown(std::string_view tag, const std::string& mapped, int64_t line) const;

  const Task& task_;
  std::unordered_map<std::string_view, Label> known_;  // tag in the file (a view into it) -> resolved tag
  std::deque<std::string> owned_;                      // words of the current sentence that are not views into the file
  int64_t sentences_ = 0;
};

// Splits a line at separators. Consecutive separators are one if `merge`, else they enclose empty columns.
void split_columns(std::string_view line, char separator, bool merge, std::vector<std::string_view>& columns);

}  // namespace hyperx::data
