#include "data/source/tagged_columns.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/errors.h"
#include "common/log.h"
#include "data/source/source_reader.h"
#include "data/tasks/prediction_file.h"
#include "data/tasks/tagging/tagging.h"

namespace hyperx::data {
namespace {

constexpr std::string_view kDocumentMark = "-DOCSTART-";

}  // namespace

TaggedColumns::TaggedColumns(const SourceSpec& spec, std::string file, bool add_tags)
    : spec_(spec), file_(std::move(file)), add_tags_(add_tags) {}

void TaggedColumns::fail(const std::string& what) const {
  throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}", file_, number_, what));
}

void TaggedColumns::fail_no_column(const char* what, size_t number, std::string_view line) const {
  fail(fmt::format("no column for the {}, value {}={} of {} columns, in {}: name the columns of word and tag", what,
                   what, number, columns_.size(), quote_for_message(line)));
}

char TaggedColumns::cut(std::string_view line) {
  const bool tabs = file_separator_ == '\t' || line.find('\t') != std::string_view::npos;
  split_columns(line, tabs ? '\t' : ' ', !tabs, columns_);
  return tabs ? '\t' : ' ';
}

size_t TaggedColumns::tag_index() const {
  return (spec_.tag_column > 0 ? static_cast<size_t>(spec_.tag_column) : columns_.size()) - 1;
}

void TaggedColumns::count_comment(std::string_view line) {
  ++comments_;
  cut(line);
  if (columns_.size() < 2 || tag_index() >= columns_.size() || !is_plain_tag(columns_[tag_index()])) return;
  if (likely_words_++ == 0) first_likely_word_ = number_;
}

bool TaggedColumns::split(std::string_view line, int64_t number) {
  number_ = number;
  if (is_document_mark(line)) {
    ++documents_;
    return false;
  }
  if (!spec_.comment.empty() && line.starts_with(spec_.comment)) {
    count_comment(line);
    return false;
  }
  const char separator = cut(line);
  if (columns_.size() > 1) {
    if (file_separator_ == 0) separator_line_ = number;
    if (file_separator_ != 0 && file_separator_ != separator)
      fail(
          fmt::format("tabs in {}, but line {} has its columns between spaces: use tabs everywhere, or skip comments "
                      "by comment= or --comment",
                      quote_for_message(line), separator_line_));
    file_separator_ = separator;
    if (separator == ' ' && columns_.size() > 2 && spec_.word_column == 0 && spec_.tag_column == 0)
      fail(
          fmt::format("{} columns between spaces in {}: name those of word and tag (word=N;tag=N in a manifest, "
                      "--word N --tag N); running text is --format text; comments are skipped by comment= or "
                      "--comment",
                      columns_.size(), quote_for_message(line)));
  }
  separator_ = columns_.size() > 1 ? separator : '\t';
  const size_t word = static_cast<size_t>(std::max(spec_.word_column, 1)) - 1;
  if (word >= columns_.size()) fail_no_column("word", word + 1, line);
  word_ = columns_[word];
  if (spec_.strip_prefix) {
    const size_t colon = word_.find(':');
    if (colon == std::string_view::npos)
      fail(fmt::format("no language prefix, value {}: prefix=strip is for words written `language:word`; leave it out",
                       quote_for_message(word_)));
    word_.remove_prefix(colon + 1);
  }
  if (word_.empty()) fail(fmt::format("an empty word, value {}: correct or remove the line", quote_for_message(line)));
  find_tag(line);
  return true;
}

void TaggedColumns::find_tag(std::string_view line) {
  tag_.reset();
  const size_t index = tag_index(), word = static_cast<size_t>(std::max(spec_.word_column, 1)) - 1;
  if (!add_tags_ && columns_.size() < 2)
    fail(
        fmt::format("one column where a word and its tag are expected, value {}: separate them by a tab or a space, "
                    "or name what to skip by comment=",
                    quote_for_message(line)));
  if (index > columns_.size() || (index == columns_.size() && !add_tags_)) fail_no_column("tag", index + 1, line);
  if (spec_.tag_column == 0 && columns_.size() > 2 && columns_.back().empty())
    fail(
        fmt::format("an empty last column in {}: name the column of the tag, or remove the separator at the line's end",
                    quote_for_message(line)));
  if (index < columns_.size() && !(add_tags_ && index == word)) tag_ = columns_[index];
  if (!add_tags_) return;
  if (has_tags_.value_or(tag_.has_value()) != tag_.has_value())
    fail(
        fmt::format("{} has {} tag column, unlike line {}: let every word line have the same columns, separated by "
                    "tabs, and skip comments by comment= or --comment",
                    quote_for_message(line), tag_ ? "a" : "no", has_tags_line_));
  if (!has_tags_) has_tags_line_ = number_;
  has_tags_ = tag_.has_value();
}

void TaggedColumns::report_comments() const {
  if (documents_ > 0) log::info("{}: {} lines of {} were skipped", file_, documents_, kDocumentMark);
  if (comments_ > 0) log::info("{}: {} lines begin with '{}' and were skipped", file_, comments_, spec_.comment);
  if (likely_words_ > 0)
    log::warning(
        "{}:{}: {} of the lines skipped as comments have the columns of a word and its tag: if they are words, "
        "give more of what comments begin with, such as '# id'",
        file_, first_likely_word_, likely_words_);
}

bool is_document_mark(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line.starts_with(kDocumentMark);
}

bool is_plain_tag(std::string_view text) {
  static const std::vector<std::string> tags = universal_tags();
  if (text == "O" || text == "_" || std::find(tags.begin(), tags.end(), text) != tags.end()) return true;
  return text.size() > 2 && text[1] == '-' && std::string_view("BIESLU").find(text[0]) != std::string_view::npos;
}

void warn_of_long_sentence(const std::string& place, size_t words) {
  constexpr size_t kManyWords = 500;
  if (words > kManyWords)
    log::warning("{}: a sentence of {} words: are the empty lines between sentences missing?", place, words);
}

}  // namespace hyperx::data
