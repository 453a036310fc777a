#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

class Task;

// One sentence of a source file. The views are valid until the next call of next(), or the reader's end. A text line is
// one word that holds the whole line: give it to Tokenizer::line.
struct Sentence {
  std::vector<std::string_view> words;  // [words] forms, as they are to be tokenised
  std::vector<std::string_view> tags;   // [words] after the label map; empty: tags are not read
  std::vector<LabelId> labels;          // [words] of the tags, by Task::label_of; empty where tags is
  std::vector<std::string_view> ids;    // [words] CoNLL-U ids ("3", "3-4", "8.1"); empty for other formats
  std::vector<int64_t> lines;           // [words] line in the file, from 1
  std::vector<int32_t>
      heads;  // [words] CoNLL-U: 0 = root, else a syntactic word's number; empty: `_`, or not asked for
  std::vector<std::string_view> relations;  // [words] CoNLL-U DEPREL; empty where heads is
  int64_t first_line = 0;                   // of the first word

  void clear();
};

enum class SourceFormat { kConllu, kTagged, kText };
inline constexpr std::array kSourceFormats = {SourceFormat::kConllu, SourceFormat::kTagged, SourceFormat::kText};
const char* name_of(SourceFormat format);

// "conllu", "tagged", "text"; UserError (65) naming `where` for another name.
SourceFormat parse_source_format(const std::string& name, const std::string& where);

using LabelMap = std::unordered_map<std::string, std::string>;

// A file and how to read it, as a manifest line says.
struct SourceSpec {
  std::string path;
  SourceFormat format = SourceFormat::kText;
  bool recognise_format = false;  // predict, score: the format is that of the content, not `format`
  std::string label_map_path;     // of the label map's file, for messages; empty: tags are used unchanged
  LabelMap label_map;             // tag in the file -> tag to use; a tag without an entry is used unchanged
  int word_column = 0;            // tagged: from 1; 0: the first column
  int tag_column = 0;             // tagged: from 1; 0: the last column
  int conllu_column = 4;          // conllu: column of the tags, from 1; UPOS
  int conllu_columns = 1;         // conllu: a tag is the text of so many columns, tabs included
  std::string comment;            // tagged: lines that begin with it are skipped; empty: none
  bool strip_prefix = false;      // tagged: "en:word" -> "word"
  bool bilou = false;             // tagged: L- is read as I-, U- as B-
  bool strip_diacritics = false;  // Arabic vowel signs U+064B to U+0652 are removed from the words
  int64_t limit = 0;              // sentences; 0: all
  bool keep_multiword = false;    // conllu: ranges (tagged `_`) and empty nodes are words, as in the original
  bool read_tags = true;          // false: tags are neither needed nor checked (predict)
  bool read_heads = false;        // conllu: heads and relations are read, and checked to be trees
};

// Streams the sentences of one file. Errors are UserErrors: 66 missing, a folder, no permission; 65 any mistake in the
// file, as "path:line: what, value 'X': what to do". Tolerated: a byte order mark, CR LF, no line feed at the end,
// several blank lines.
class SentenceReader {
 public:
  virtual ~SentenceReader() = default;
  virtual bool next(Sentence& sentence) = 0;  // false: end of file

  // A file without a single sentence is an error (65), thrown by the first next().
};

// `task` declares the labels; any other tag is an error. It must outlive the reader.
std::unique_ptr<SentenceReader> open_source(const SourceSpec& spec, const Task& task);

// TSV: tag in the file, tag to use; further columns and lines that begin with # are ignored. UserError (65, 66).
LabelMap read_label_map(const std::string& path);

constexpr size_t kLongestLineBytes = size_t{1}
                                     << 20;  // a longer line is an error: the file does not have the stated format

}  // namespace hyperx::data
