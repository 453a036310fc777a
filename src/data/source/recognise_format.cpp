#include "data/source/recognise_format.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include "common/errors.h"
#include "data/source/line_source.h"
#include "data/source/source_reader.h"
#include "data/source/tagged_columns.h"
#include "data/tasks/prediction_file.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr size_t kConlluColumns = 10;
constexpr std::string_view kGlobalColumns = "# global.columns";

// A whole number; -1 for anything else.
int64_t number_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 ? number : -1;
}

bool is_range_or_empty_node(std::string_view id) {
  const size_t at = id.find_first_of("-.");
  return at != std::string_view::npos && number_of(id.substr(0, at)) >= 0 && number_of(id.substr(at + 1)) >= 0;
}

// The first lines of a file, by their columns. Comments (`#`) and lines of -DOCSTART- are not looked at.
struct Look {
  int64_t lines = 0, first_line = 0;
  std::string_view first_text;
  bool conllu = false;     // a line of ten columns that begins with an id, or one that names the columns
  bool tabs = true;        // in every line
  size_t columns = 0;      // of every line; 0: they differ
  bool ids = true;         // the first of several columns is a number, or two, in every line
  bool plain_tags = true;  // the last of several columns is a plain tag in every line
  bool tags_first = true;  // the first of several columns is one, and the last is not
  bool same_first = true;  // the first of more than two columns never changes

  // Lines that can hardly be running text.
  bool is_table() const { return columns > 1 && (lines > 1 ? tabs || plain_tags : tabs && plain_tags); }
  // Lines that may be running text by chance.
  bool is_like_table() const { return columns > 1 && ((ids && lines > 1) || lines >= (columns == 2 ? 3 : 4)); }
};

class Looking {
 public:
  Looking(std::string_view head, const std::string& comment) : comment_(comment) {
    if (head.size() == kHeadBytes) head = head.substr(0, head.rfind('\n') + 1);  // the last line may be cut
    head = without_byte_order_mark(head);
    for (int64_t number = 1; !head.empty(); ++number) {
      std::string_view line = head.substr(0, head.find('\n'));
      head.remove_prefix(std::min(line.size() + 1, head.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      take(line, number);
    }
    look.tabs = look.tabs && look.lines > 0;
    look.tags_first = look.tags_first && look.lines > 1;
    look.same_first = look.same_first && look.lines > 2;
    look.ids = look.ids && look.lines > 0 && (counted_ || look.lines > 2 || look.columns > 2);
  }

  Look look;

 private:
  void take(std::string_view line, int64_t number) {
    if (line.starts_with(kGlobalColumns)) look.conllu = true;
    if (is_blank(line)) id_ = -1;
    if (is_blank(line) || line.starts_with('#') || is_document_mark(line)) return;
    if (!comment_.empty() && line.starts_with(comment_)) return;
    const bool tabs = line.find('\t') != std::string_view::npos;
    split_columns(line, tabs ? '\t' : ' ', !tabs, columns_);
    const std::string_view first = columns_.front();
    const int64_t id = number_of(first);
    const bool between = is_range_or_empty_node(first);
    look.conllu = look.conllu || (tabs && columns_.size() == kConlluColumns && (id >= 0 || between));
    if (look.lines++ == 0) {
      look.columns = columns_.size();
      look.first_line = number;
      look.first_text = line;
    }
    if (columns_.size() != look.columns) look.columns = 0;
    look.tabs = look.tabs && tabs;
    look.tags_first = look.tags_first && columns_.size() > 1 && is_plain_tag(first) && !is_plain_tag(columns_.back());
    look.same_first = look.same_first && columns_.size() > 2 && look.first_text.starts_with(first) &&
                      look.first_text.substr(first.size()).starts_with(tabs ? '\t' : ' ');
    look.plain_tags = look.plain_tags && columns_.size() > 1 && is_plain_tag(columns_.back());
    look.ids = look.ids && columns_.size() > 1 && (id >= 0 || between);
    counted_ = counted_ || (id_ >= 0 && id == id_ + 1);
    if (!between) id_ = id;
  }

  const std::string& comment_;
  std::vector<std::string_view> columns_;
  int64_t id_ = -1;  // of the sentence's last word
  bool counted_ = false;
};

bool ends_with_any_case(const std::string& path, std::string_view end) {
  return path.size() > end.size() && std::equal(end.rbegin(), end.rend(), path.rbegin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
         });
}

[[noreturn]] void fail(const std::string& file, const Look& look, const std::string& what) {
  throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}: {}", file, std::max<int64_t>(look.first_line, 1),
                                                  quote_for_message(look.first_text), what));
}

const char* const kNameColumns = "name the columns of word and tag (word=N;tag=N in a manifest, --word N --tag N)";

}  // namespace

SourceFormat recognise_format(const SourceSpec& spec, std::string_view head, bool may_be_text) {
  const Look look = Looking(head, spec.comment).look;
  if (look.conllu || ends_with_any_case(spec.path, ".conllu")) return SourceFormat::kConllu;
  if (!may_be_text || names_columns(spec)) return SourceFormat::kTagged;
  const bool named_text = spec.path == "-" || ends_with_any_case(spec.path, ".txt");
  const std::string file = spec.path == "-" ? "standard input" : spec.path;
  if (named_text && !look.is_table() && !look.is_like_table()) return SourceFormat::kText;
  if (named_text)
    fail(file, look,
         "columns where running text is expected: give --format tagged if they hold words and tags, or --format text");
  if (look.columns == 2 && !look.tabs && !look.plain_tags)
    fail(file, look, "a word and its tag, or running text? Give --format tagged or --format text");
  return SourceFormat::kTagged;
}

void check_format(const SourceSpec& spec, const std::string& file, std::string_view head) {
  const Look look = Looking(head, spec.comment).look;
  if (spec.format == SourceFormat::kTagged && spec.word_column == 0) {
    if (look.conllu) fail(file, look, "the columns of CoNLL-U in what is read as tagged lines: its format is conllu");
    const char* const what = look.ids ? "numbers" : look.tags_first ? "tags" : look.same_first ? "one text" : nullptr;
    if (what != nullptr) fail(file, look, fmt::format("the first column holds {}, not words: {}", what, kNameColumns));
  }
  if (spec.format == SourceFormat::kText && look.conllu)
    fail(file, look, "the columns of CoNLL-U in what is read as running text: its format is conllu (--format conllu)");
  if (spec.format == SourceFormat::kText && look.is_table())
    fail(file, look,
         fmt::format("every line has {} columns in what is read as running text: its format is tagged (--format "
                     "tagged), or take the columns out",
                     look.columns));
}

bool names_columns(const SourceSpec& spec) {
  return spec.word_column > 0 || spec.tag_column > 0 || !spec.comment.empty() || spec.strip_prefix;
}

std::string wrong_columns(std::string_view comment) {
  if (!comment.starts_with(kGlobalColumns)) return "";
  std::vector<std::string_view> names;
  split_columns(comment.substr(std::min(comment.find('=') + 1, comment.size())), ' ', true, names);
  const std::vector<std::string_view> right = {"ID",    "FORM", "LEMMA",  "UPOS", "XPOS",
                                               "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"};
  if (names == right) return "";
  return fmt::format(
      "CoNLL-U Plus, value {}: only the ten columns {} in this order are read: cut the others out, or read it as "
      "tagged "
      "lines and name the columns of word and tag, and the comment '#'",
      quote_for_message(comment), fmt::join(right, " "));
}

}  // namespace hyperx::data
