#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source/sentence_reader.h"

namespace hyperx::data {

// Finds word and tag in the lines of a tagged file. Columns are separated by tabs or, in a file whose lines have none,
// by spaces. Without spec.word_column and spec.tag_column the word is the first column and the tag the last one. More
// than two columns between spaces must be named, because a word may hold spaces.
class TaggedColumns {
 public:
  // `spec` must outlive it; `file` is the file's name in messages. With `add_tags` lines may lack the tag column.
  TaggedColumns(const SourceSpec& spec, std::string file, bool add_tags);

  // Splits line `number`, which is not blank; false: it is a comment or a document mark (-DOCSTART-). The views are
  // valid as long as the line. UserError (65), as "file:number: ...": separators that differ from those of earlier
  // lines, a missing column, an empty word.
  bool split(std::string_view line, int64_t number);

  std::string_view word() const { return word_; }                      // without its prefix if spec.strip_prefix
  const std::optional<std::string_view>& tag() const { return tag_; }  // none: the line has no tag column
  char separator() const { return separator_; }                        // of a tag column that is added to the line
  // The line without blanks around it, if that is one column; empty: it has several.
  std::string_view only_column() const { return columns_.size() == 1 ? columns_[0] : std::string_view(); }

  // Logs how many lines were skipped, and warns if some of them look like words.
  void report_comments() const;

 private:
  char cut(std::string_view line);  // fills columns_; returns the separator
  size_t tag_index() const;
  void find_tag(std::string_view line);
  void count_comment(std::string_view line);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_no_column(const char* what, size_t number, std::string_view line) const;

  const SourceSpec& spec_;
  std::string file_;
  bool add_tags_;
  int64_t number_ = 0;
  std::vector<std::string_view> columns_;
  std::string_view word_;
  std::optional<std::string_view> tag_;
  char separator_ = '\t';
  // Of the file:
  char file_separator_ = 0;  // 0: no line of several columns so far
  int64_t separator_line_ = 0;
  std::optional<bool> has_tags_;  // with add_tags: all lines have a tag column or none has
  int64_t has_tags_line_ = 0;
  int64_t documents_ = 0, comments_ = 0, likely_words_ = 0, first_likely_word_ = 0;
};

// -DOCSTART- of CoNLL-2003, also behind blanks: no word.
bool is_document_mark(std::string_view line);

// O, _, a UPOS tag, or an entity tag such as B-PER: what running text does not have at the end of every line.
bool is_plain_tag(std::string_view text);

// Warns of a sentence of very many words that begins at `place` ("file:line"): empty lines may be missing.
void warn_of_long_sentence(const std::string& place, size_t words);

}  // namespace hyperx::data
