#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/source/sentence_reader.h"
#include "data/tasks/task.h"
#include "data/tokenizer/word_splitter.h"

namespace hyperx::data {

// Some sentences of a file that is being tagged, with the bytes of the file that they come from.
class TaggingChunk {
 public:
  std::vector<std::vector<std::string>>
      words;  // [sentences][words] as they are to be tokenised; a blank text line has none
  std::vector<std::vector<std::string>> tags;  // the same shape: the tag in the file; "" where there is none
  std::vector<std::vector<int64_t>> lines;     // the same shape: line in the file, from 1

  int64_t word_count() const;
  // The chunk's part of the file with its tags replaced by these, which have the shape of `words`; every other byte is
  // kept. Text becomes `word<TAB>tag` lines with an empty line after each sentence.
  std::string with_tags(const std::vector<std::vector<std::string>>& predicted) const;

 private:
  friend class PredictionInput;
  struct Slot {
    size_t begin = 0, end = 0;  // bytes that the tag replaces
    char new_separator = '\0';  // is written before the tag; NUL: the line has a tag column
  };
  void clear();
  std::string bytes_;
  std::vector<std::vector<Slot>> slots_;  // [sentences][words]
};

// A file whose words are to be tagged, or whose tags are to be scored, read in chunks of sentences.
//   conllu  words are the lines with an integer id (with spec.keep_multiword every line); the tag is UPOS.
//           Multiword ranges, empty nodes and comments are skipped.
//   tagged  `word` or `word<TAB>tag` (tagged_columns.h), an empty line between sentences. A column is added where
//           lines have no tag column.
//   text    one sentence per line, split into words by `split`.
// Of the spec, only columns, comment, prefix, diacritics and multiword rule apply; label map, BILOU and limit do not.
// With spec.recognise_format the content determines the format (recognise_format.h); text is one only if tags are not
// read.
// Errors are UserErrors: 66 missing, a folder, no permission; 65 for mistakes in the file, as "path:line: what, value:
// what to do". Tolerated and kept: a byte order mark, CR LF, no line feed at the end, several blank lines.
class PredictionInput {
 public:
  // spec.path "-" is standard input.
  explicit PredictionInput(const SourceSpec& spec, WordSplit split = WordSplit::kAuto);
  ~PredictionInput();
  PredictionInput(PredictionInput&&) noexcept;
  PredictionInput& operator=(PredictionInput&&) noexcept;

  // The next sentences, at most `max_sentences`, and all bytes up to their end. False at the end of the file. The last
  // chunk may hold bytes without sentences, which must be written too. A file without a word is an error (65).
  bool next(TaggingChunk& chunk, size_t max_sentences);
  int64_t lines_read() const;
  const SourceSpec& spec() const;  // with the format that was recognised

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// UserError (64) where a format cannot hold the task's tags, such as entities in CoNLL-U. Text always can: it is
// written as tagged lines.
void require_format_for(const Task& task, SourceFormat format);

// UserError (64) if the spec of a file that is not tagged names columns, a comment or a prefix: they have no meaning.
void refuse_columns(const SourceSpec& spec);

// `text` in quotes for a message, cut to about 40 characters.
std::string quote_for_message(std::string_view text);

constexpr size_t kLongestSentenceBytes = size_t{1} << 26;  // of tagged lines or CoNLL-U; more: blank lines are missing

}  // namespace hyperx::data
