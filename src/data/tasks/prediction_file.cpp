#include "data/tasks/prediction_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/errors.h"
#include "common/git_lfs.h"
#include "data/source/line_source.h"
#include "data/source/recognise_format.h"
#include "data/source/source_reader.h"
#include "data/source/tagged_columns.h"
#include "data/tasks/prediction_lines.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

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
  Impl(const SourceSpec& source, WordSplit how)
      : spec(source), split(how), lines(source.path), tagged(spec, lines.name(), true) {
    const std::string_view head = lines.peek(kHeadBytes);
    refuse_git_lfs_pointer(lines.name(), head);
    if (spec.recognise_format) spec.format = recognise_format(spec, head, !spec.read_tags);
    check_format(spec, lines.name(), head);
  }

  SourceSpec spec;
  WordSplit split;
  PredictionLines lines;
  TaggedColumns tagged;
  int64_t words_read = 0;
  bool in_sentence = false, at_end = false;
  size_t sentence_begin = 0;  // offset in the chunk's bytes
  int64_t last_id = 0;        // CoNLL-U

  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(ExitCode::kBadData, lines.place() + ": " + what);
  }
  std::optional<WordLine> parse_conllu(std::string_view line);
  std::optional<WordLine> parse_tagged(std::string_view line);
  void take_text_line(std::string_view line, TaggingChunk& chunk);
  void take_line(std::string_view line, std::string_view content, TaggingChunk& chunk);
  void add_word(const WordLine& word, size_t tag_begin, TaggingChunk& chunk);
  void end_sentence(const TaggingChunk& chunk);
};

std::optional<WordLine> PredictionInput::Impl::parse_conllu(std::string_view line) {
  if (line.starts_with('#')) {
    if (const std::string wrong = wrong_columns(line); !wrong.empty()) fail(wrong);
    return std::nullopt;
  }
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

std::optional<WordLine> PredictionInput::Impl::parse_tagged(std::string_view line) {
  if (!tagged.split(line, lines.number())) return std::nullopt;
  return WordLine{tagged.word(), tagged.tag().value_or(line.substr(line.size())), tagged.tag().has_value()};
}

void PredictionInput::Impl::add_word(const WordLine& word, size_t tag_begin, TaggingChunk& chunk) {
  chunk.words.back().push_back(spec.strip_diacritics ? without_vowel_signs(word.word) : std::string(word.word));
  chunk.tags.back().emplace_back(word.has_tag ? word.tag : std::string_view());
  chunk.lines.back().push_back(lines.number());
  const char separator = word.has_tag ? '\0' : spec.format == SourceFormat::kTagged ? tagged.separator() : '\t';
  chunk.slots_.back().push_back({tag_begin, tag_begin + (word.has_tag ? word.tag.size() : 0), separator});
  ++words_read;
}

void PredictionInput::Impl::take_text_line(std::string_view line, TaggingChunk& chunk) {
  std::vector<std::string_view> words;
  split_words(line, split, words);
  chunk.words.emplace_back();
  chunk.tags.emplace_back();
  chunk.lines.emplace_back();
  chunk.slots_.emplace_back();
  for (std::string_view word : words) {
    word = without_byte_order_mark(word);  // in files that were joined; at the output's start it would be lost
    if (word.empty()) continue;
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
    end_sentence(chunk);
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
  size_t tag_begin = line_begin + static_cast<size_t>(word->tag.data() - line.data());
  if (const std::string_view only = tagged.only_column(); !word->has_tag && !only.empty()) {
    // Before the tab that follows, blanks around the word would be a part of it.
    const std::string_view before = line.substr(0, static_cast<size_t>(content.data() - line.data()));
    chunk.bytes_.resize(line_begin);
    chunk.bytes_.append(before).append(only);
    tag_begin = chunk.bytes_.size();
    chunk.bytes_ += line.substr(before.size() + content.size());
  }
  add_word(*word, tag_begin, chunk);
}

void PredictionInput::Impl::end_sentence(const TaggingChunk& chunk) {
  if (in_sentence)
    warn_of_long_sentence(lines.name() + ":" + std::to_string(chunk.lines.back().front()), chunk.words.back().size());
  in_sentence = false;
  last_id = 0;
}

PredictionInput::PredictionInput(const SourceSpec& spec, WordSplit split)
    : impl_(std::make_unique<Impl>(spec, split)) {}
PredictionInput::~PredictionInput() = default;
PredictionInput::PredictionInput(PredictionInput&&) noexcept = default;
PredictionInput& PredictionInput::operator=(PredictionInput&&) noexcept = default;

int64_t PredictionInput::lines_read() const { return impl_->lines.number(); }

const SourceSpec& PredictionInput::spec() const { return impl_->spec; }

bool PredictionInput::next(TaggingChunk& chunk, size_t max_sentences) {
  HYPERX_CHECK(max_sentences > 0, "a chunk of no sentence");
  chunk.clear();
  Impl& in = *impl_;
  std::string_view line;
  while (in.in_sentence || chunk.words.size() < max_sentences) {
    if (!in.lines.next(line)) {
      in.end_sentence(chunk);
      if (in.words_read == 0)
        throw UserError(ExitCode::kBadData, in.lines.name() + ": holds no word: is it the right file, complete?");
      if (!std::exchange(in.at_end, true)) in.tagged.report_comments();
      return !chunk.bytes_.empty();
    }
    std::string_view content = without_line_end(line);
    if (in.lines.number() == 1) content = without_byte_order_mark(content);
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
      if (slot.new_separator != '\0') written += slot.new_separator;
      written += predicted[sentence][word];
      done = slot.end;
    }
  }
  return written.append(bytes_, done);
}

void require_format_for(const Task& task, SourceFormat format) {
  if (format == SourceFormat::kText || task.reads(format)) return;
  throw UserError(ExitCode::kUsage, std::string("--format ") + name_of(format) +
                                        ": the format has no column for tags of " + task.name() + ", which takes " +
                                        formats_of(task) + ", or text");
}

void refuse_columns(const SourceSpec& spec) {
  if (names_columns(spec))
    throw UserError(ExitCode::kUsage, std::string("--word, --tag, --comment and --prefix are for tagged lines, but ") +
                                          (spec.path == "-" ? "standard input" : spec.path) + " is " +
                                          name_of(spec.format) + ": leave them out, or give --format tagged");
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
