#include "data/source/source_reader.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>

#include "common/errors.h"
#include "data/source/recognise_format.h"
#include "data/source/tagged_columns.h"
#include "data/tasks/task.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

// Arabic vowel signs, from fathatan to sukun. Only vocalised treebanks have them, so ordinary text has other sub-words.
constexpr char32_t kFirstDiacritic = 0x064B, kLastDiacritic = 0x0652;

}  // namespace

SourceReader::SourceReader(const SourceSpec& spec, const Task& task) : spec_(spec), lines_(spec.path), task_(task) {
  check_format(spec_, spec_.path, lines_.head(kHeadBytes));
}

bool SourceReader::next(Sentence& sentence) {
  sentence.clear();
  owned_.clear();
  const bool limited = spec_.limit > 0 && sentences_ >= spec_.limit;
  if (!limited && read(sentence)) {
    ++sentences_;
    warn_of_long_sentence(fmt::format("{}:{}", lines_.path(), sentence.first_line), sentence.words.size());
    return true;
  }
  if (sentences_ == 0)
    lines_.fail(std::max<int64_t>(lines_.number(), 1), "the file holds no sentence: is it the right file, and whole?");
  at_end();
  return false;
}

void SourceReader::add_tag(Sentence& sentence, std::string_view tag, int64_t line) {
  const auto found = known_.find(tag);
  const Label& label = found != known_.end() ? found->second : resolve(tag, line);
  sentence.tags.push_back(label.tag);
  sentence.labels.push_back(label.index);
}

const SourceReader::Label& SourceReader::resolve(std::string_view tag, int64_t line) {
  std::string mapped(tag);
  const auto row = spec_.label_map.find(mapped);
  if (row != spec_.label_map.end()) mapped = row->second;
  if (spec_.bilou && mapped.starts_with("L-")) mapped[0] = 'I';
  if (spec_.bilou && mapped.starts_with("U-")) mapped[0] = 'B';
  const std::optional<LabelId> label = task_.label_of(mapped);
  if (!label) fail_unknown(tag, mapped, line);
  return known_.emplace(tag, Label{mapped, *label}).first->second;
}

void SourceReader::fail_unknown(std::string_view tag, const std::string& mapped, int64_t line) const {
  const std::string labels = fmt::format("{}", fmt::join(task_.labels(), " "));
  if (spec_.format == SourceFormat::kConllu && mapped == "_")
    lines_.fail(
        line,
        "a word without UPOS, value '_': take a tagged release of the treebank, or use the file for another task");
  if (tag != mapped)
    lines_.fail(line,
                fmt::format("tag '{}' becomes '{}'{}, which is no label of {} ({}): correct the map", tag, mapped,
                            spec_.label_map_path.empty() ? "" : " by " + spec_.label_map_path, task_.name(), labels));
  if (!task_.why_not(mapped).empty()) lines_.fail(line, task_.why_not(mapped));
  const char* const version = tag == "CONJ" ? " (CONJ is UD version 1: map it to CCONJ)" : "";
  lines_.fail(line,
              fmt::format("unknown tag, value '{}'{}: labels of {} are {}; {}", tag, version, task_.name(), labels,
                          spec_.label_map_path.empty()
                              ? "give the manifest's line labels=FILE with lines of: tag in the file, TAB, tag to use"
                              : "add the tag to " + spec_.label_map_path));
}

std::string_view SourceReader::clean(std::string_view word) {
  if (!spec_.strip_diacritics) return word;
  std::string kept;
  for (size_t at = 0; at < word.size();) {
    const char32_t c = decode_utf8(word, at);
    if (c < kFirstDiacritic || c > kLastDiacritic) append_utf8(c, kept);
  }
  if (kept.size() == word.size()) return word;
  return owned_.emplace_back(std::move(kept));
}

std::string_view tag_columns(const std::vector<std::string_view>& columns, const SourceSpec& spec) {
  const auto first = static_cast<size_t>(spec.conllu_column) - 1;
  const std::string_view last = columns[first + static_cast<size_t>(spec.conllu_columns) - 1];
  return {columns[first].data(), static_cast<size_t>(last.data() + last.size() - columns[first].data())};
}

void split_columns(std::string_view line, char separator, bool merge, std::vector<std::string_view>& columns) {
  columns.clear();
  for (;;) {
    if (merge) line.remove_prefix(std::min(line.find_first_not_of(separator), line.size()));
    if (merge && line.empty()) return;
    const size_t end = line.find(separator);
    columns.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

}  // namespace hyperx::data
