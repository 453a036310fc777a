#include "data/corpus/corpus_index.h"

#include <limits>
#include <set>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"

namespace hyperx::data {

namespace {

using Json = nlohmann::ordered_json;  // what is written
using Value = nlohmann::json;         // what is read

constexpr char kOwnDigestKey[] = "\"index_xxh128\":\"";
constexpr int kFirstVersionWithDigests = 4;  // of the index itself and of whole files

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

[[noreturn]] void wrong(const std::string& key, const Value& value, const char* wanted) {
  throw std::runtime_error(key + " is " + shown(value) + ", not " + wanted);
}

const Value& value_at(const Value& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) throw std::runtime_error(std::string("there is no ") + key);
  return *found;
}

int64_t count_at(const Value& object, const char* key, int64_t least = 0) {
  const Value& value = value_at(object, key);
  if (!value.is_number_integer()) wrong(key, value, "a whole number");
  // An unsigned number beyond int64 would become negative.
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    throw std::runtime_error(std::string(key) + " is too large");
  }
  const auto number = value.get<int64_t>();
  if (number < least) throw std::runtime_error(std::string(key) + " is " + std::to_string(number));
  return number;
}

int32_t id_at(const Value& object, const char* key, int64_t least = 0) {
  const int64_t id = count_at(object, key, least);
  if (id > std::numeric_limits<int32_t>::max()) throw std::runtime_error(std::string(key) + " is too large");
  return static_cast<int32_t>(id);
}

std::string text_at(const Value& object, const char* key) {
  const Value& value = value_at(object, key);
  if (!value.is_string()) wrong(key, value, "a text");
  return value.get<std::string>();
}

bool flag_at(const Value& object, const char* key) {
  const Value& value = value_at(object, key);
  if (!value.is_boolean()) wrong(key, value, "true or false");
  return value.get<bool>();
}

const Value& list_at(const Value& object, const char* key) {
  const Value& value = value_at(object, key);
  if (!value.is_array()) wrong(key, value, "a list");
  return value;
}

const Value& object_at(const Value& object, const char* key) {
  const Value& value = value_at(object, key);
  if (!value.is_object()) wrong(key, value, "an object");
  return value;
}

std::string file_name_at(const Value& object, const char* key) {
  const std::string name = text_at(object, key);
  if (!is_plain_name(name)) throw std::runtime_error("'" + name + "' is no file name of a pair");
  return name;
}

SplitCounts counts_from(const Value& object) {
  SplitCounts counts;
  counts.sentences = count_at(object, "sentences");
  counts.words = count_at(object, "words");
  counts.subwords = count_at(object, "subwords");
  counts.unk = count_at(object, "unk");
  counts.empty = count_at(object, "empty");
  counts.truncated = count_at(object, "truncated");
  counts.over_limit = count_at(object, "over_limit");
  counts.longest = count_at(object, "longest");
  if (object.contains("cut")) counts.cut = count_at(object, "cut");  // earlier corpora lack it
  return counts;
}

SplitEntry split_from(const Value& object) {
  SplitEntry split;
  split.name = text_at(object, "name");
  split.counts = counts_from(value_at(object, "counts"));
  split.dropped = count_at(object, "dropped");
  split.limited = flag_at(object, "limited");
  split.overlap = count_at(object, "overlap");
  const Value& overlap_with = object_at(object, "overlap_with");
  for (const auto& [name, count] : overlap_with.items())
    split.overlap_with[name] = count_at(overlap_with, name.c_str());
  for (const Value& s : list_at(object, "sources")) {
    split.sources.push_back({text_at(s, "path"), text_at(s, "sha256"), text_at(s, "origin"), text_at(s, "licence"),
                             count_at(s, "sentences")});
  }
  for (const Value& d : list_at(object, "datasets")) {
    split.datasets.push_back({text_at(d, "name"), text_at(d, "type"), count_at(d, "count"), count_at(d, "offset", -1),
                              text_at(d, "xxh128")});
  }
  return split;
}

PairEntry pair_from(const Value& object) {
  PairEntry entry;
  entry.pair = parse_pair(text_at(object, "task") + ":" + text_at(object, "language"));
  entry.file = file_name_at(object, "file");
  entry.bytes = count_at(object, "bytes");
  if (object.contains("xxh128")) entry.xxh128 = text_at(object, "xxh128");  // earlier corpora lack it
  entry.trains_on_test = flag_at(object, "trains_on_test");
  for (const Value& split : list_at(object, "splits")) {
    entry.splits.push_back(split_from(split));
    if (entry.find_split(entry.splits.back().name) != &entry.splits.back())
      throw std::runtime_error("split " + entry.splits.back().name + " of " + entry.pair.name() +
                               " stands there twice");
  }
  return entry;
}

void head_from(const Value& object, CorpusIndex& index) {
  index.tokenizer_digest = text_at(object, "tokenizer_digest");
  index.vocabulary_size = id_at(object, "vocabulary_size");
  index.cls_id = id_at(object, "cls_id");
  index.sep_id = id_at(object, "sep_id");
  index.mask_id = id_at(object, "mask_id");
  for (const int32_t id : {index.cls_id, index.sep_id, index.mask_id}) {
    if (id >= index.vocabulary_size) throw std::runtime_error("a special token lies outside the vocabulary");
  }
  for (const TaskRow& row : task_rows())
    for (const CorpusOption& option : row.corpus_options) index.task_options[option.key] = text_at(object, option.key);
  if (object.contains("label_position"))
    index.label_position = text_at(object, "label_position");                       // earlier ones lack it
  if (object.contains("blank_id")) index.blank_id = id_at(object, "blank_id", -1);  // and this
  index.overlap = text_at(object, "overlap");
  index.max_subwords = id_at(object, "max_subwords");
  for (const auto& [task, labels] : object_at(object, "labels").items()) {
    if (!labels.is_array()) wrong("labels." + task, labels, "a list");
    for (const Value& label : labels) {
      if (!label.is_string()) wrong("a label of " + task, label, "a text");
      index.labels[task].push_back(label.get<std::string>());
    }
    index.labels[task];  // also of a task without labels
  }
  if (!list_at(object, "pairs").empty()) throw std::runtime_error("pairs is no list of pairs");
  std::set<Pair> seen;
  for (const PairEntry& entry : index.pairs) {
    const Pair& pair = entry.pair;
    if (!index.labels.contains(pair.task)) throw std::runtime_error("no labels of task " + pair.task);
    if (!seen.insert(pair).second) throw std::runtime_error("pair " + pair.name() + " stands there twice");
  }
  if (object.contains("summaries"))
    for (const auto& [name, digest] : object_at(object, "summaries").items()) {
      if (!is_plain_name(name)) throw std::runtime_error("'" + name + "' is no file name of a summary");
      if (!digest.is_string()) wrong("summaries." + name, digest, "a text");
      index.summaries[name] = digest.get<std::string>();
    }
}

// Of the index itself: every byte of it counts.
void check_own_digest(const std::string& text, int64_t version) {
  const std::optional<bool> fits = fits_own_digest(text, kOwnDigestKey);
  if (!fits && version >= kFirstVersionWithDigests) throw std::runtime_error("it has no digest of itself");
  if (fits && !*fits) throw std::runtime_error("some of its bytes were changed: it is not of the digest that it names");
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
               {"index_xxh128", std::string(kXxh128Digits, '0')},
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
  json["summaries"] = summaries;
  std::string text = json.dump();
  text.back() = ',';
  text += "\"pairs\":[";
  for (const PairEntry& entry : pairs) {
    Json item = {{"task", entry.pair.task}, {"language", entry.pair.language}, {"file", entry.file},
                 {"bytes", entry.bytes},    {"xxh128", entry.xxh128},          {"trains_on_test", entry.trains_on_test},
                 {"splits", Json::array()}};
    for (const SplitEntry& split : entry.splits) item["splits"].push_back(hyperx::data::to_json(split));
    if (&entry != pairs.data()) text += ',';
    text += '\n';
    text += item.dump();  // one pair per line
  }
  text += "\n]}\n";
  return with_own_digest(std::move(text), kOwnDigestKey);
}

CorpusIndex CorpusIndex::from_json(const std::string& text, const std::string& path) {
  const std::string way_out = "prepare the corpus again (hyperx prepare --force)";
  CorpusIndex index;
  // Each pair is converted and freed as soon as it is read: with thousands of pairs, the whole file as JSON values
  // would take ten times the memory and more time. The first error in a pair matters only if the format version is
  // ours.
  std::string wrong_pair;
  const Value head = parse_json_by_item(text, path, way_out, "pairs", [&](const Value& pair) {
    try {
      index.pairs.push_back(pair_from(pair));
    } catch (const std::exception& error) {
      if (wrong_pair.empty()) wrong_pair = error.what();
    }
  });
  try {
    if (!head.is_object() || head.value("format", Value()) != "hyperx corpus")
      throw std::runtime_error("it is no hyperx corpus");
    const int64_t version = count_at(head, "format_version");
    if (version < kOldestCorpusFormatVersion || version > kCorpusFormatVersion) {
      throw std::runtime_error("format version " + std::to_string(version) + ", this program reads " +
                               std::to_string(kOldestCorpusFormatVersion) + " to " +
                               std::to_string(kCorpusFormatVersion));
    }
    check_own_digest(text, version);
    if (!wrong_pair.empty()) throw std::runtime_error(wrong_pair);
    head_from(head, index);
  } catch (const std::exception& error) {
    throw UserError(ExitCode::kBadData, path + ": not a usable corpus index: " + error.what() + "; " + way_out);
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
