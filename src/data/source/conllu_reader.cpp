#include "data/source/conllu_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "data/source/recognise_format.h"

namespace hyperx::data {
namespace {

enum Column : size_t { kId, kForm, kLemma, kUpos, kXpos, kFeats, kHead, kDeprel, kDeps, kMisc, kColumns };

// A whole number without sign or leading zero ("0" itself is one); -1 for anything else.
int32_t parse_number(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text.size() > 1 && text[0] == '0')) return -1;
  int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

}  // namespace

bool ConlluReader::read(Sentence& sentence) {
  words_ = range_end_ = empty_nodes_ = 0;
  heads_.clear();
  relations_.clear();
  word_lines_.clear();
  std::string_view line;
  bool begun = false;
  while (lines_.next(line)) {
    if (is_blank(line)) {
      if (begun) break;
      continue;
    }
    if (line.starts_with('#')) {
      if (const std::string wrong = wrong_columns(line); !wrong.empty()) fail(wrong);
      continue;
    }
    begun = true;
    add_line(line, sentence);
  }
  if (begun) finish(sentence);
  return begun;
}

void ConlluReader::add_line(std::string_view line, Sentence& sentence) {
  split_columns(line, '\t', false, columns_);
  if (columns_.size() != kColumns)
    fail(fmt::format(
        "{} columns where CoNLL-U has 10 (tabs between them), value '{}': is the file CoNLL-U, and is the line whole?",
        columns_.size(), line.substr(0, 80)));
  check_id(columns_[kId]);
  if (columns_[kForm].empty()) fail("an empty FORM: write the word, or _ if it is an underscore");
  if (kind_ == Kind::kWord) {
    ++all_words_;
    bare_forms_ += columns_[kForm] == "_";
    word_lines_.push_back(lines_.number());
    if (spec_.read_heads) add_head();
  }
  if (kind_ == Kind::kWord || spec_.keep_multiword) add_word(sentence);
}

void ConlluReader::check_id(std::string_view id) {
  const auto expect = [&](bool right, const char* what) {
    if (!right)
      fail(fmt::format(
          "{}, value '{}' after {} words: ids of a sentence are 1, 2, 3, ..., ranges n-m before word n, empty nodes "
          "n.1, n.2 after it; is a blank line missing?",
          what, id, words_));
  };
  const size_t dash = id.find('-'), dot = id.find('.');
  if (dash != std::string_view::npos) {
    const int32_t first = parse_number(id.substr(0, dash)), last = parse_number(id.substr(dash + 1));
    expect(first == words_ + 1 && last >= first && first > range_end_, "a range out of order");
    kind_ = Kind::kRange;
    range_end_ = last;
    range_line_ = lines_.number();
  } else if (dot != std::string_view::npos) {
    const int32_t word = parse_number(id.substr(0, dot)), number = parse_number(id.substr(dot + 1));
    expect(word == words_ && number == empty_nodes_ + 1, "an empty node out of order");
    kind_ = Kind::kEmptyNode;
    ++empty_nodes_;
  } else {
    expect(parse_number(id) == words_ + 1, "an id that is not the next number");
    kind_ = Kind::kWord;
    ++words_;
    empty_nodes_ = 0;
  }
}

void ConlluReader::add_word(Sentence& sentence) {
  const int64_t line = lines_.number();
  if (sentence.words.empty()) sentence.first_line = line;
  sentence.words.push_back(clean(columns_[kForm]));
  sentence.ids.push_back(columns_[kId]);
  sentence.lines.push_back(line);
  const std::string_view tag = tag_columns(columns_, spec_);
  if (spec_.read_tags) add_tag(sentence, kind_ == Kind::kRange ? std::string_view("_") : tag, line);
}

void ConlluReader::add_head() {
  const std::string_view head = columns_[kHead];
  const int32_t number = parse_number(head);
  if (number < 0 && head != "_")
    fail(fmt::format("HEAD is not a number, value '{}': write the head's id, 0 for the root, or _ in the whole column",
                     head));
  heads_.push_back(number);
  relations_.push_back(columns_[kDeprel]);
}

void ConlluReader::finish(Sentence& sentence) {
  if (words_ == 0) fail("a sentence without a word (only ranges or empty nodes): ids begin with 1");
  if (range_end_ > words_)
    lines_.fail(range_line_, fmt::format("a range beyond the sentence, value '{}' of {} words: correct its end",
                                         range_end_, words_));
  if (std::all_of(heads_.begin(), heads_.end(), [](int32_t head) { return head < 0; })) return;
  check_tree();
  if (spec_.keep_multiword) return;
  sentence.heads = heads_;
  sentence.relations = relations_;
}

void ConlluReader::check_tree() const {
  const auto count = static_cast<int32_t>(heads_.size());
  int32_t root = 0;
  for (int32_t word = 1; word <= count; ++word) {
    const auto at = static_cast<size_t>(word) - 1;
    const int32_t head = heads_[at];
    if (head < 0)
      lines_.fail(word_lines_[at], "HEAD is missing here but given for other words, value '_': write all or none");
    if (head > count)
      lines_.fail(word_lines_[at],
                  fmt::format("HEAD is not in the sentence, value '{}' of {} words: correct it", head, count));
    if (head == 0 && root != 0)
      lines_.fail(
          word_lines_[at],
          fmt::format("a second root, value '0' (the first is word {}): a tree has one word with HEAD 0", root));
    if (head == 0) root = word;
  }
  if (root == 0) lines_.fail(word_lines_.front(), "no root in the sentence: a tree has one word with HEAD 0");
  // Every word must reach the root; words that an earlier walk reached are not walked again.
  std::vector<int32_t> walk_of(heads_.size() + 1, 0);
  for (int32_t start = 1; start <= count; ++start) {
    for (int32_t word = start; word != 0; word = heads_[static_cast<size_t>(word) - 1]) {
      int32_t& walk = walk_of[static_cast<size_t>(word)];
      if (walk == start)
        lines_.fail(word_lines_[static_cast<size_t>(word) - 1],
                    fmt::format("a cycle of heads through word {}, value '{}': correct one of its HEADs", word,
                                heads_[static_cast<size_t>(word) - 1]));
      if (walk != 0) break;
      walk = start;
    }
  }
}

void ConlluReader::at_end() {
  constexpr int64_t kFewWords = 3;  // a real file may hold a sentence that is an underscore
  if (bare_forms_ == all_words_ && all_words_ >= kFewWords)
    fail(
        "every FORM of the file is '_': the treebank is published without its text; merge the text in as its README "
        "says");
}

}  // namespace hyperx::data
