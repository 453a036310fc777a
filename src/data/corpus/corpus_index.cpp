#include "data/corpus/corpus_index.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "common/errors.h"

namespace hyperx::data {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const SplitCounts& c) {
  return {{"sentences", c.sentences},
          {"words", c.words},
          {"subwords", c.subwords},
          {"unk", c.unk},
          {"empty", c.empty},
          {"truncated", c.truncated},
          {"over_limit", c.over_limit},
          {"longest", c.longest},
          {"cut", c.cut}};
}

Json to_json(const SplitEntry& split) {
  Json json = {{"name", split.name},       {"counts", to_json(split.counts)}, {"dropped", split.dropped},
               {"limited", split.limited}, {"overlap", split.overlap},        {"overlap_with", split.overlap_with},
               {"sources", Json::array()}, {"datasets", Json::array()}};
  for (const SourceEntry& s : split.sources) {
    json["sources"].push_back({{"path", s.path},
                               {"sha256", s.sha256},
                               {"origin", s.origin},
                               {"licence", s.licence},
                               {"sentences", s.sentences}});
  }
  for (const DatasetEntry& d : split.datasets) {
    json["datasets"].push_back(
        {{"name", d.name}, {"type", d.type}, {"count", d.count}, {"offset", d.offset}, {"xxh128", d.xxh128}});
  }
  return json;
}

int64_t count_at(const Json& json, const char* key, int64_t least = 0) {
  const Json& value = json.at(key);
  if (!value.is_number_integer()) throw std::runtime_error(std::string(key) + " is not a whole number");
  // An unsigned number beyond int64 would become negative.
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    throw std::runtime_error(std::string(key) + " is too large");
  }
  const auto number = value.get<int64_t>();
  if (number < least) throw std::runtime_error(std::string(key) + " is " + std::to_string(number));
  return number;
}

int32_t id_at(const Json& json, const char* key) {
  const int64_t id = count_at(json, key);
  if (id > std::numeric_limits<int32_t>::max()) throw std::runtime_error(std::string(key) + " is too large");
  return static_cast<int32_t>(id);
}

SplitCounts counts_from(const Json& json) {
  SplitCounts counts;
  counts.sentences = count_at(json, "sentences");
  counts.words = count_at(json, "words");
  counts.subwords = count_at(json, "subwords");
  counts.unk = count_at(json, "unk");
  counts.empty = count_at(json, "empty");
  counts.truncated = count_at(json, "truncated");
  counts.over_limit = count_at(json, "over_limit");
  counts.longest = count_at(json, "longest");
  if (json.contains("cut")) counts.cut = count_at(json, "cut");  // earlier corpora lack it
  return counts;
}

SplitEntry split_from(const Json& json) {
  SplitEntry split;
  split.name = json.at("name").get<std::string>();
  split.counts = counts_from(json.at("counts"));
  split.dropped = count_at(json, "dropped");
  split.limited = json.at("limited").get<bool>();
  split.overlap = count_at(json, "overlap");
  split.overlap_with = json.at("overlap_with").get<std::map<std::string, int64_t>>();
  for (const Json& s : json.at("sources")) {
    split.sources.push_back({s.at("path").get<std::string>(), s.at("sha256").get<std::string>(),
                             s.at("origin").get<std::string>(), s.at("licence").get<std::string>(),
                             count_at(s, "sentences")});
  }
  for (const Json& d : json.at("datasets")) {
    split.datasets.push_back({d.at("name").get<std::string>(), d.at("type").get<std::string>(), count_at(d, "count"),
                              count_at(d, "offset", -1), d.at("xxh128").get<std::string>()});
  }
  return split;
}

PairEntry pair_from(const Json& json) {
  PairEntry entry;
  entry.pair = {json.at("task").get<std::string>(), json.at("language").get<std::string>()};
  entry.file = json.at("file").get<std::string>();
  if (entry.file.empty() || entry.file.find('/') != std::string::npos) {
    throw std::runtime_error("'" + entry.file + "' is no file name of a pair");
  }
  entry.bytes = count_at(json, "bytes");
  entry.trains_on_test = json.at("trains_on_test").get<bool>();
  for (const Json& split : json.at("splits")) entry.splits.push_back(split_from(split));
  return entry;
}

void head_from(const Json& json, CorpusIndex& index) {
  index.tokenizer_digest = json.at("tokenizer_digest").get<std::string>();
  index.vocabulary_size = id_at(json, "vocabulary_size");
  index.cls_id = id_at(json, "cls_id");
  index.sep_id = id_at(json, "sep_id");
  index.mask_id = id_at(json, "mask_id");
  for (const int32_t id : {index.cls_id, index.sep_id, index.mask_id}) {
    if (id >= index.vocabulary_size) throw std::runtime_error("a special token lies outside the vocabulary");
  }
  for (const TaskRow& row : task_rows())
    for (const CorpusOption& option : row.corpus_options)
      index.task_options[option.key] = json.at(option.key).get<std::string>();
  index.label_position = json.value("label_position", index.label_position);  // earlier corpora lack it
  index.blank_id = json.value("blank_id", index.blank_id);                    // and this
  index.overlap = json.at("overlap").get<std::string>();
  index.max_subwords = id_at(json, "max_subwords");
  index.labels = json.at("labels").get<std::map<std::string, std::vector<std::string>>>();
  if (!json.at("pairs").is_array() || !json.at("pairs").empty()) throw std::runtime_error("pairs is no list of pairs");
  std::set<Pair> seen;
  for (const PairEntry& entry : index.pairs) {
    const Pair& pair = entry.pair;
    if (!index.labels.contains(pair.task)) throw std::runtime_error("no labels of task " + pair.task);
    if (!seen.insert(pair).second) throw std::runtime_error("pair " + pair.name() + " stands there twice");
  }
}

// Each pair is converted and freed as soon as it is read: with thousands of pairs, the whole file as JSON values would
// take ten times the memory and more time. `wrong`: the first error in a pair; it matters only if the format version is
// ours.
Json parse_by_pair(const std::string& text, std::vector<PairEntry>& pairs, std::string& wrong) {
  constexpr int kPairsDepth = 1, kPairDepth = 2;
  bool in_pairs = false;
  return Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == kPairsDepth && event == Json::parse_event_t::key) in_pairs = parsed == "pairs";
    if (!in_pairs || depth != kPairDepth || event != Json::parse_event_t::object_end) return true;
    try {
      pairs.push_back(pair_from(parsed));
    } catch (const std::exception& error) {
      if (wrong.empty()) wrong = error.what();
    }
    return false;
  });
}

}  // namespace

const SplitEntry* PairEntry::find_split(const std::string& name) const {
  for (const SplitEntry& split : splits) {
    if (split.name == name) return &split;
  }
  return nullptr;
}

std::string CorpusIndex::to_json() const {
  Json json = {{"format", "hyperx corpus"},
               {"format_version", kCorpusFormatVersion},
               {"tokenizer_digest", tokenizer_digest},
               {"vocabulary_size", vocabulary_size},
               {"cls_id", cls_id},
               {"sep_id", sep_id},
               {"mask_id", mask_id}};
  for (const auto& [key, value] : task_options) json[key] = value;
  json["label_position"] = label_position;
  json["blank_id"] = blank_id;
  json["overlap"] = overlap;
  json["max_subwords"] = max_subwords;
  json["labels"] = labels;
  std::string text = json.dump();
  text.back() = ',';
  text += "\"pairs\":[";
  for (const PairEntry& entry : pairs) {
    Json item = {{"task", entry.pair.task}, {"language", entry.pair.language},        {"file", entry.file},
                 {"bytes", entry.bytes},    {"trains_on_test", entry.trains_on_test}, {"splits", Json::array()}};
    for (const SplitEntry& split : entry.splits) item["splits"].push_back(hyperx::data::to_json(split));
    if (&entry != pairs.data()) text += ',';
    text += '\n';
    text += item.dump();  // one pair per line
  }
  text += "\n]}\n";
  return text;
}

CorpusIndex CorpusIndex::from_json(const std::string& text, const std::string& path) {
  const std::string way_out = "; prepare the corpus again (hyperx prepare --force)";
  CorpusIndex index;
  try {
    std::string wrong;
    const Json json = parse_by_pair(text, index.pairs, wrong);
    if (json.at("format") != "hyperx corpus") throw std::runtime_error("it is no hyperx corpus");
    const int64_t version = count_at(json, "format_version");
    if (version < kOldestCorpusFormatVersion || version > kCorpusFormatVersion) {
      throw std::runtime_error("format version " + std::to_string(version) + ", this program reads " +
                               std::to_string(kOldestCorpusFormatVersion) + " to " +
                               std::to_string(kCorpusFormatVersion));
    }
    if (!wrong.empty()) throw std::runtime_error(wrong);
    head_from(json, index);
  } catch (const std::exception& error) {
    throw UserError(ExitCode::kBadData, path + ": not a usable corpus index: " + error.what() + way_out);
  }
  return index;
}

TaskSet tasks_of(const CorpusIndex& index, Sections options, const std::string& origin) {
  for (const TaskRow& row : task_rows())
    for (const CorpusOption& option : row.corpus_options)
      if (const auto stored = index.task_options.find(option.key); stored != index.task_options.end())
        option.set(options, stored->second);
  return TaskSet::of_labels(index.labels, options, origin);
}

}  // namespace hyperx::data
