#include "data/tasks/prediction_file.h"

#include <algorithm>
#include <optional>

#include "common/errors.h"
#include "data/source/line_source.h"
#include "data/source/source_reader.h"
#include "data/tasks/prediction_lines.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kConlluColumns = 10;
constexpr size_t kConlluId = 0, kConlluForm = 1;
constexpr size_t kQuotedCharacters = 40;

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_pair_of_numbers(std::string_view text, char separator) {
  const size_t place = text.find(separator);
  return place != std::string_view::npos && is_number(text.substr(0, place)) && is_number(text.substr(place + 1));
}

std::string without_vowel_signs(std::string_view word) {
  std::string kept;
  for (size_t position = 0; position < word.size();) {
    const size_t begin = position;
    const char32_t code_point = decode_utf8(word, position);
    if (code_point < 0x064B || code_point > 0x0652) kept.append(word.substr(begin, position - begin));
  }
  return kept;
}

// A word's line as it was read; the views point into it.
struct WordLine {
  std::string_view word;
  std::string_view tag;  // if there is no tag column, the empty end of the line
  bool has_tag = true;
};

}  // namespace

struct PredictionInput::Impl {
  Impl(const SourceSpec& source, WordSplit how) : spec(source), split(how), lines(source.path) {}

  SourceSpec spec;
  WordSplit split;
  PredictionLines lines;
  int64_t words_read = 0;
  bool in_sentence = false;
  size_t sentence_begin = 0;     // offset in the chunk's bytes
  int64_t last_id = 0;           // CoNLL-U
  std::optional<bool> has_tags;  // tagged: whether word lines have a tag column; all or none have one
  int64_t has_tags_line = 0;

  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(ExitCode::kBadData, lines.place() + ": " + what);
  }
  std::optional<WordLine> parse_conllu(std::string_view line);
  std::optional<WordLine> parse_tagged(std::string_view line);
  WordLine columns_of(std::string_view line) const;
  void take_text_line(std::string_view line, TaggingChunk& chunk);
  void take_line(std::string_view line, std::string_view content, TaggingChunk& chunk);
  void add_word(const WordLine& word, size_t tag_begin, TaggingChunk& chunk);
};

std::optional<WordLine> PredictionInput::Impl::parse_conllu(std::string_view line) {
  if (line.starts_with('#')) return std::nullopt;
  std::vector<std::string_view> columns;
  split_columns(line, '\t', false, columns);
  if (columns.size() != kConlluColumns)
    fail(std::to_string(columns.size()) + " columns where CoNLL-U has 10, in " + quote_for_message(line) +
         ": separate columns by tabs, sentences by an empty line");
  const std::string_view id = columns[kConlluId];
  const WordLine word{columns[kConlluForm], tag_columns(columns, spec), true};
  if (is_pair_of_numbers(id, '-') || is_pair_of_numbers(id, '.'))
    return spec.keep_multiword ? std::optional<WordLine>(word) : std::nullopt;
  if (!is_number(id)) fail("id " + quote_for_message(id) + " is none of 3, 3-4, 8.1");
  const int64_t number = std::stoll(std::string(id));
  if (number != last_id + 1)
    fail("id " + std::string(id) + " follows " + std::to_string(last_id) +
         ": the words of a sentence are numbered 1, 2, 3, ...");
  last_id = number;
  return word;
}

// Word and tag of a tagged line, from the requested columns.
WordLine PredictionInput::Impl::columns_of(std::string_view line) const {
  std::vector<std::string_view> columns;
  const bool named = spec.word_column > 0 || spec.tag_column > 0;
  if (line.find('\t') != std::string_view::npos) {
    split_columns(line, '\t', false, columns);
  } else if (named) {
    split_columns(line, ' ', true, columns);
  } else {
    line = line.substr(0, line.find_last_not_of(' ') + 1);
    const size_t space = line.rfind(' ');
    columns.push_back(line);
    if (space != std::string_view::npos)
      columns = {line.substr(0, line.find_last_not_of(' ', space) + 1), line.substr(space + 1)};
  }
  const size_t word_column = spec.word_column == 0 ? 0 : static_cast<size_t>(spec.word_column) - 1;
  const size_t tag_column = spec.tag_column == 0 ? columns.size() - 1 : static_cast<size_t>(spec.tag_column) - 1;
  if (word_column >= columns.size() || tag_column > columns.size())
    fail(std::to_string(columns.size()) + " columns in " + quote_for_message(line) +
         ", too few for word=" + std::to_string(word_column + 1) + ";tag=" + std::to_string(tag_column + 1) +
         ": name the columns that hold word and tag");
  if (tag_column == columns.size() || tag_column == word_column)
    return {columns[word_column], line.substr(line.size()), false};
  return {columns[word_column], columns[tag_column], true};
}

std::optional<WordLine> PredictionInput::Impl::parse_tagged(std::string_view line) {
  if (!spec.comment.empty() && line.starts_with(spec.comment)) return std::nullopt;
  WordLine word = columns_of(line);
  if (has_tags.value_or(word.has_tag) != word.has_tag)
    fail(quote_for_message(line) + (word.has_tag ? " has a tag column" : " has no tag column") + ", unlike line " +
         std::to_string(has_tags_line) + ": let every word line have the same columns, separated by tabs");
  if (!has_tags) has_tags_line = lines.number();
  has_tags = word.has_tag;
  if (spec.strip_prefix) {
    const size_t colon = word.word.find(':');
    if (colon == std::string_view::npos)
      fail("word " + quote_for_message(word.word) + " has no prefix such as `en:`: read the file without prefix=strip");
    word.word.remove_prefix(colon + 1);
  }
  return word;
}

void PredictionInput::Impl::add_word(const WordLine& word, size_t tag_begin, TaggingChunk& chunk) {
  chunk.words.back().push_back(spec.strip_diacritics ? without_vowel_signs(word.word) : std::string(word.word));
  chunk.tags.back().emplace_back(word.has_tag ? word.tag : std::string_view());
  chunk.lines.back().push_back(lines.number());
  chunk.slots_.back().push_back({tag_begin, tag_begin + (word.has_tag ? word.tag.size() : 0), !word.has_tag});
  ++words_read;
}

void PredictionInput::Impl::take_text_line(std::string_view line, TaggingChunk& chunk) {
  if (is_number(line.substr(0, line.find('\t'))) &&
      static_cast<size_t>(std::count(line.begin(), line.end(), '\t')) + 1 == kConlluColumns)
    fail("ten columns in what is read as plain text, " + quote_for_message(line) + ": it is CoNLL-U (--format conllu)");
  std::vector<std::string_view> words;
  split_words(line, split, words);
  chunk.words.emplace_back();
  chunk.tags.emplace_back();
  chunk.lines.emplace_back();
  chunk.slots_.emplace_back();
  for (const std::string_view word : words) {
    chunk.bytes_ += word;
    add_word({word, {}, false}, chunk.bytes_.size(), chunk);
    chunk.bytes_ += '\n';
  }
  chunk.bytes_ += '\n';
}

// `content` is the line without byte order mark and line end, a part of `line`.
void PredictionInput::Impl::take_line(std::string_view line, std::string_view content, TaggingChunk& chunk) {
  const size_t line_begin = chunk.bytes_.size();
  chunk.bytes_ += line;
  if (is_blank(content)) {
    in_sentence = false;
    last_id = 0;
    return;
  }
  const auto word = spec.format == SourceFormat::kConllu ? parse_conllu(content) : parse_tagged(content);
  if (!word) return;
  if (word->word.empty())
    fail("an empty word in " + quote_for_message(content) + ": give it a form, or take the line out");
  if (!in_sentence) {
    in_sentence = true;
    sentence_begin = line_begin;
    chunk.words.emplace_back();
    chunk.tags.emplace_back();
    chunk.lines.emplace_back();
    chunk.slots_.emplace_back();
  }
  if (chunk.bytes_.size() - sentence_begin > kLongestSentenceBytes)
    fail("a sentence of more than " + std::to_string(kLongestSentenceBytes) +
         " bytes: separate sentences by an empty line");
  add_word(*word, line_begin + static_cast<size_t>(word->tag.data() - line.data()), chunk);
}

PredictionInput::PredictionInput(const SourceSpec& spec, WordSplit split)
    : impl_(std::make_unique<Impl>(spec, split)) {}
PredictionInput::~PredictionInput() = default;
PredictionInput::PredictionInput(PredictionInput&&) noexcept = default;
PredictionInput& PredictionInput::operator=(PredictionInput&&) noexcept = default;

int64_t PredictionInput::lines_read() const { return impl_->lines.number(); }

bool PredictionInput::next(TaggingChunk& chunk, size_t max_sentences) {
  HYPERX_CHECK(max_sentences > 0, "a chunk of no sentence");
  chunk.clear();
  Impl& in = *impl_;
  std::string_view line;
  while (in.in_sentence || chunk.words.size() < max_sentences) {
    if (!in.lines.next(line)) {
      in.in_sentence = false;
      if (in.words_read == 0)
        throw UserError(ExitCode::kBadData, in.lines.name() + ": holds no word: is it the right file, complete?");
      return !chunk.bytes_.empty();
    }
    std::string_view content = without_line_end(line);
    if (in.lines.number() == 1 && content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
    if (in.spec.format == SourceFormat::kText) {
      in.take_text_line(content, chunk);
    } else {
      in.take_line(line, content, chunk);
    }
  }
  return true;
}

void TaggingChunk::clear() {
  words.clear();
  tags.clear();
  lines.clear();
  bytes_.clear();
  slots_.clear();
}

int64_t TaggingChunk::word_count() const {
  size_t count = 0;
  for (const auto& sentence : words) count += sentence.size();
  return static_cast<int64_t>(count);
}

std::string TaggingChunk::with_tags(const std::vector<std::vector<std::string>>& predicted) const {
  HYPERX_CHECK(predicted.size() == slots_.size(), "tags of other sentences");
  std::string written;
  written.reserve(bytes_.size() + 8 * static_cast<size_t>(word_count()));
  size_t done = 0;
  for (size_t sentence = 0; sentence < slots_.size(); ++sentence) {
    HYPERX_CHECK(predicted[sentence].size() == slots_[sentence].size(), "tags of another sentence");
    for (size_t word = 0; word < slots_[sentence].size(); ++word) {
      const Slot& slot = slots_[sentence][word];
      written.append(bytes_, done, slot.begin - done);
      if (slot.new_column) written += '\t';
      written += predicted[sentence][word];
      done = slot.end;
    }
  }
  return written.append(bytes_, done);
}

SourceFormat guess_source_format(const std::string& path) {
  return path.ends_with(".conllu") ? SourceFormat::kConllu : SourceFormat::kTagged;
}

void require_format_for(const Task& task, SourceFormat format) {
  if (format == SourceFormat::kText || task.reads(format)) return;
  throw UserError(ExitCode::kUsage, std::string("--format ") + name_of(format) +
                                        ": the format has no column for tags of " + task.name() + ", which takes " +
                                        formats_of(task) + ", or text");
}

std::string quote_for_message(std::string_view text) {
  std::string quoted = "'";
  size_t position = 0;
  for (size_t characters = 0; position < text.size() && characters < kQuotedCharacters; ++characters) {
    const size_t begin = position;
    const char32_t code_point = decode_utf8(text, position);
    if (code_point == U'\t') {
      quoted += "\\t";
    } else if (code_point < 0x20 || code_point == 0x7F) {
      quoted += '?';  // control characters must not reach a terminal
    } else {
      quoted.append(text.substr(begin, position - begin));
    }
  }
  return quoted + (position < text.size() ? "...'" : "'");
}

}  // namespace hyperx::data
