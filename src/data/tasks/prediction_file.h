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

// Some sentences of a file that is being tagged, with the bytes that they stand in.
class TaggingChunk {
 public:
  std::vector<std::vector<std::string>>
      words;  // [sentences][words] as they are to be tokenised; a blank text line has none
  std::vector<std::vector<std::string>>
      tags;                                 // the same shape: the tag that stands in the file; "" where there is none
  std::vector<std::vector<int64_t>> lines;  // the same shape: line in the file, from 1

  int64_t word_count() const;
  // The chunk's part of the file with these tags, of the same shape as `words`, in place of its own; every other byte
  // is kept. Text comes out as `word<TAB>tag` lines with an empty line after each sentence.
  std::string with_tags(const std::vector<std::vector<std::string>>& predicted) const;

 private:
  friend class PredictionInput;
  struct Slot {
    size_t begin = 0, end = 0;  // bytes that the tag replaces
    bool new_column = false;    // a tab goes before the tag
  };
  void clear();
  std::string bytes_;
  std::vector<std::vector<Slot>> slots_;  // [sentences][words]
};

// A file whose words are to be tagged, or whose tags are to be scored, read in chunks of sentences.
//   conllu  words are the lines with an integer id (with spec.keep_multiword every line); the tag is UPOS. Multiword
//   ranges, empty
//           nodes and comments are passed over.
//   tagged  `word` or `word<TAB>tag`, an empty line between sentences. A line without a tab is cut at its last space. A
//   column
//           is added where lines have no tag column.
//   text    a sentence a line, cut into words by `split`.
// Of the spec its columns, comment, prefix, diacritics and multiword rule count; label map, BILOU and limit are not
// applied. Errors are UserErrors: 66 missing, a folder, no permission; 65 for what stands in the file, as "path:line:
// what, value: way out". Tolerated and kept: a byte order mark, CR LF, no line feed at the end, several blank lines.
class PredictionInput {
 public:
  // spec.path "-" is standard input.
  explicit PredictionInput(const SourceSpec& spec, WordSplit split = WordSplit::kAuto);
  ~PredictionInput();
  PredictionInput(PredictionInput&&) noexcept;
  PredictionInput& operator=(PredictionInput&&) noexcept;

  // The next sentences, at most `max_sentences`, and all bytes up to their end. False at the end of the file. A last
  // chunk may hold bytes without sentences: write it all the same. A file without a word is an error (65).
  bool next(TaggingChunk& chunk, size_t max_sentences);
  int64_t lines_read() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// conllu for *.conllu; all else is taken for tagged lines, for text cannot be told from a list of words.
SourceFormat guess_source_format(const std::string& path);

// UserError (64) where a task's tags have no place in a format, as entities in CoNLL-U. Text always has one: it comes
// out as tagged lines.
void require_format_for(const Task& task, SourceFormat format);

// `text` in quotes for a message, cut to some 40 characters.
std::string quote_for_message(std::string_view text);

constexpr size_t kLongestSentenceBytes = size_t{1} << 26;  // of tagged lines or CoNLL-U; more: blank lines are missing

}  // namespace hyperx::data
