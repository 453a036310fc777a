#include "data/corpus/prepare_summary.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace hyperx::data {

namespace {

struct Overlaps {
  int64_t own = 0, tasks = 0, text = 0;
};

Overlaps overlaps_of(const TaskSet& tasks, const PairEntry& entry, const SplitEntry& split) {
  Overlaps overlaps;
  for (const auto& [name, count] : split.overlap_with) {
    if (name == entry.pair.name()) {
      overlaps.own += count;
    } else if (tasks.at(parse_pair(name).task).masked()) {
      overlaps.text += count;
    } else {
      overlaps.tasks += count;
    }
  }
  return overlaps;
}

double unk_rate(const SplitCounts& counts) {
  return counts.subwords == 0 ? 0 : static_cast<double>(counts.unk) / static_cast<double>(counts.subwords);
}

std::string notes_of(const PairEntry& entry, const SplitEntry& split) {
  std::string notes;
  if (entry.trains_on_test) notes = "test split that trains: never scored";
  const auto add = [&](const std::string& note) { notes += (notes.empty() ? "" : "; ") + note; };
  if (split.limited) add("cut at the default limit");
  if (split.counts.cut > 0) add(fmt::format("sub-types of {} relations are left out", split.counts.cut));
  return notes;
}

const std::vector<std::string>& column_names() {
  static const std::vector<std::string> names = {
      "pair",        "split",         "sentences",    "words",      "subwords", "unk",
      "unk_rate",    "empty",         "truncated",    "over_limit", "longest",  "overlap_any",
      "overlap_own", "overlap_tasks", "overlap_text", "dropped",    "notes"};
  return names;
}

std::vector<std::string> row_of(const TaskSet& tasks, const PairEntry& entry, const SplitEntry& split) {
  const SplitCounts& c = split.counts;
  const Overlaps overlaps = overlaps_of(tasks, entry, split);
  std::vector<std::string> row = {entry.pair.name(), split.name};
  for (const int64_t value : {c.sentences, c.words, c.subwords, c.unk}) row.push_back(std::to_string(value));
  row.push_back(fmt::format("{:.5f}", unk_rate(c)));
  for (const int64_t value : {c.empty, c.truncated, c.over_limit, c.longest, split.overlap, overlaps.own,
                              overlaps.tasks, overlaps.text, split.dropped}) {
    row.push_back(std::to_string(value));
  }
  row.push_back(notes_of(entry, split));
  return row;
}

std::vector<std::vector<std::string>> rows_of(const CorpusIndex& index) {
  const TaskSet tasks = tasks_of(index);
  std::vector<std::vector<std::string>> rows;
  for (const PairEntry& entry : index.pairs) {
    for (const SplitEntry& split : entry.splits) rows.push_back(row_of(tasks, entry, split));
  }
  return rows;
}

}  // namespace

std::string summary_table(const CorpusIndex& index) {
  std::vector<std::vector<std::string>> rows = rows_of(index);
  rows.insert(rows.begin(), {"pair", "split", "sentences", "words", "sub-words", "[UNK]", "rate", "empty", "truncated",
                             "over limit", "longest", "overlap", "own", "tasks", "text", "dropped", "notes"});
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const bool left = c < 2 || c + 1 == row.size();
      if (c > 0) line += "  ";
      line += left ? fmt::format("{:<{}}", row[c], widths[c]) : fmt::format("{:>{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string summary_tsv(const CorpusIndex& index) {
  std::vector<std::vector<std::string>> rows = rows_of(index);
  rows.insert(rows.begin(), column_names());
  std::string text;
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) text += (c > 0 ? "\t" : "") + row[c];
    text += "\n";
  }
  return text;
}

std::string summary_json(const CorpusIndex& index) {
  using Json = nlohmann::ordered_json;
  const TaskSet tasks = tasks_of(index);
  Json rows = Json::array();
  for (const PairEntry& entry : index.pairs) {
    for (const SplitEntry& split : entry.splits) {
      const SplitCounts& c = split.counts;
      const Overlaps overlaps = overlaps_of(tasks, entry, split);
      rows.push_back({{"pair", entry.pair.name()},
                      {"split", split.name},
                      {"sentences", c.sentences},
                      {"words", c.words},
                      {"subwords", c.subwords},
                      {"unk", c.unk},
                      {"unk_rate", unk_rate(c)},
                      {"empty", c.empty},
                      {"truncated", c.truncated},
                      {"over_limit", c.over_limit},
                      {"longest", c.longest},
                      {"overlap_any", split.overlap},
                      {"overlap_own", overlaps.own},
                      {"overlap_tasks", overlaps.tasks},
                      {"overlap_text", overlaps.text},
                      {"overlap_with", split.overlap_with},
                      {"dropped", split.dropped},
                      {"trains_on_test", entry.trains_on_test},
                      {"limited", split.limited}});
    }
  }
  Json summary = {{"max_subwords", index.max_subwords}};
  for (const auto& [key, value] : index.task_options) summary[key] = value;
  summary["overlap"] = index.overlap;
  summary["splits"] = std::move(rows);
  return summary.dump(1) + "\n";
}

}  // namespace hyperx::data
