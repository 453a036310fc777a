#include "data/tasks/scoring.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <map>
#include <span>

#include "common/errors.h"
#include "data/tasks/prediction_file.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr size_t kChunkSentences = 1024;
constexpr size_t kMostTags = 1000;  // with more, the tag column holds something else

std::string name_of(const SourceSpec& spec) { return spec.path == "-" ? "standard input" : spec.path; }

// A tag after the label map and BILOU.
std::string mapped_tag(const SourceSpec& spec, const std::string& tag) {
  const auto found = spec.label_map.find(tag);
  std::string mapped = found == spec.label_map.end() ? tag : found->second;
  if (spec.bilou && mapped.starts_with("L-")) mapped[0] = 'I';
  if (spec.bilou && mapped.starts_with("U-")) mapped[0] = 'B';
  return mapped;
}

// The first character in which two words differ, as in "character 4 is U+00E9 and U+0065": they may look alike.
std::string first_difference(std::string_view gold, std::string_view predicted) {
  const auto next = [](std::string_view word, size_t& at) {
    return at < word.size() ? fmt::format("U+{:04X}", static_cast<uint32_t>(decode_utf8(word, at))) : "missing";
  };
  std::string a, b;
  size_t gold_at = 0, predicted_at = 0, character = 0;
  do {
    a = next(gold, gold_at);
    b = next(predicted, predicted_at);
    ++character;
  } while (a == b);
  return fmt::format("character {} is {} and {}", character, a, b);
}

// Reads two files in parallel and turns their tags into numbers.
class PairReader {
 public:
  PairReader(const SourceSpec& gold_source, const SourceSpec& predicted_source, const Task& task)
      : task_(task),
        gold_input_(gold_source),
        predicted_input_(predicted_source),
        gold_spec_(gold_input_.spec()),
        predicted_spec_(predicted_input_.spec()) {
    for (const SourceSpec* spec : {&gold_spec_, &predicted_spec_})
      if (!task.reads(spec->format))
        throw UserError(ExitCode::kUsage, fmt::format("{}: --format {} holds no tags of {}: score {}", name_of(*spec),
                                                      name_of(spec->format), task.name(), formats_of(task)));
    if (gold_spec_.format != SourceFormat::kTagged && predicted_spec_.format != SourceFormat::kTagged)
      refuse_columns(gold_spec_);
  }

  void read();

  std::vector<std::string> tags;         // by number, in order of appearance
  std::vector<LabelId> gold, predicted;  // [words of both files]
  std::vector<size_t> sentence_ends;     // [sentences] into gold and predicted

 private:
  void compare_words(size_t sentence) const;
  void take_tags(size_t sentence);
  LabelId number_of(const SourceSpec& spec, const TaggingChunk& chunk, size_t sentence, size_t word);
  std::string place(const SourceSpec& spec, const TaggingChunk& chunk, size_t sentence, size_t word) const {
    return name_of(spec) + ":" + std::to_string(chunk.lines[sentence][word]);
  }
  [[noreturn]] void fail_where_one_ends(const SourceSpec& longer, const TaggingChunk& chunk,
                                        const SourceSpec& shorter) const;

  const Task& task_;
  PredictionInput gold_input_, predicted_input_;
  const SourceSpec& gold_spec_;
  const SourceSpec& predicted_spec_;
  TaggingChunk gold_chunk_, predicted_chunk_;
  std::map<std::string, LabelId> numbers_;
};

void PairReader::fail_where_one_ends(const SourceSpec& longer, const TaggingChunk& chunk,
                                     const SourceSpec& shorter) const {
  const size_t sentence = std::min(gold_chunk_.words.size(), predicted_chunk_.words.size());
  throw UserError(ExitCode::kBadData, name_of(shorter) + " ends after " + std::to_string(sentence_ends.size()) +
                                          " sentences, " + place(longer, chunk, sentence, 0) + " goes on with " +
                                          quote_for_message(chunk.words[sentence][0]) +
                                          ": score files of the same sentences");
}

void PairReader::compare_words(size_t sentence) const {
  const auto& gold_words = gold_chunk_.words[sentence];
  const auto& predicted_words = predicted_chunk_.words[sentence];
  const std::string number = "sentence " + std::to_string(sentence_ends.size() + 1);
  const size_t common = std::min(gold_words.size(), predicted_words.size());
  for (size_t word = 0; word < common; ++word) {
    if (gold_words[word] == predicted_words[word]) continue;
    throw UserError(
        ExitCode::kBadData,
        fmt::format("{} has the word {}, {} {} ({}, word {}; {}): score files of the same words, in one Unicode form "
                    "(NFC or NFD)",
                    place(gold_spec_, gold_chunk_, sentence, word), quote_for_message(gold_words[word]),
                    place(predicted_spec_, predicted_chunk_, sentence, word), quote_for_message(predicted_words[word]),
                    number, word + 1, first_difference(gold_words[word], predicted_words[word])));
  }
  if (gold_words.size() != predicted_words.size())
    throw UserError(ExitCode::kBadData, place(gold_spec_, gold_chunk_, sentence, 0) + ": " + number + " has " +
                                            std::to_string(gold_words.size()) + " words, at " +
                                            place(predicted_spec_, predicted_chunk_, sentence, 0) + " it has " +
                                            std::to_string(predicted_words.size()) + ": score files of the same words");
}

LabelId PairReader::number_of(const SourceSpec& spec, const TaggingChunk& chunk, size_t sentence, size_t word) {
  const std::string tag = mapped_tag(spec, chunk.tags[sentence][word]);
  if (task_.is_tree()) {
    const std::optional<LabelId> label = task_.label_of(tag);
    const auto words = static_cast<int64_t>(chunk.tags[sentence].size());
    if (!label || *label >= task_.label_kinds(words))
      throw UserError(ExitCode::kBadData, fmt::format("{}: {} is no HEAD and DEPREL of a sentence of {} words; the "
                                                      "relations are {}",
                                                      place(spec, chunk, sentence, word), quote_for_message(tag), words,
                                                      fmt::join(task_.labels(), " ")));
    return *label;
  }
  const auto [entry, is_new] = numbers_.try_emplace(tag, static_cast<LabelId>(tags.size()));
  if (!is_new) return entry->second;
  if (!task_.may_be_tag(tag))
    throw UserError(
        ExitCode::kBadData,
        fmt::format("{}: {} cannot be a tag of {} (such as {}): name the tag column, a label map, or scheme "
                    "BILOU",
                    place(spec, chunk, sentence, word), quote_for_message(tag), task_.name(),
                    fmt::join(task_.labels(), " ")));
  if (tags.size() == kMostTags)
    throw UserError(ExitCode::kBadData, place(spec, chunk, sentence, word) + ": more than " +
                                            std::to_string(kMostTags) + " different tags, the last " +
                                            quote_for_message(tag) + ": name the column that holds the tags");
  tags.push_back(tag);
  return entry->second;
}

void PairReader::take_tags(size_t sentence) {
  const std::string untagged = task_.untagged(gold_spec_);
  for (size_t word = 0; word < gold_chunk_.words[sentence].size(); ++word) {
    const std::string& gold_tag = gold_chunk_.tags[sentence][word];
    const std::string& predicted_tag = predicted_chunk_.tags[sentence][word];
    const std::string& form = gold_chunk_.words[sentence][word];
    if (gold_tag.empty() || gold_tag == untagged)
      throw UserError(ExitCode::kBadData, place(gold_spec_, gold_chunk_, sentence, word) + ": the word " +
                                              quote_for_message(form) +
                                              " has no gold tag: every word of the gold file must have one");
    if (predicted_tag.empty())
      throw UserError(ExitCode::kBadData, place(predicted_spec_, predicted_chunk_, sentence, word) + ": the word " +
                                              quote_for_message(form) +
                                              " has no predicted tag: a word left untagged bears " +
                                              task_.no_prediction());
    gold.push_back(number_of(gold_spec_, gold_chunk_, sentence, word));
    predicted.push_back(predicted_tag == untagged ? kNoPrediction
                                                  : number_of(predicted_spec_, predicted_chunk_, sentence, word));
  }
  sentence_ends.push_back(gold.size());
}

void PairReader::read() {
  for (;;) {
    gold_input_.next(gold_chunk_, kChunkSentences);
    predicted_input_.next(predicted_chunk_, kChunkSentences);
    const size_t common = std::min(gold_chunk_.words.size(), predicted_chunk_.words.size());
    if (gold_chunk_.words.empty() && predicted_chunk_.words.empty()) return;
    for (size_t sentence = 0; sentence < common; ++sentence) {
      compare_words(sentence);
      take_tags(sentence);
    }
    if (gold_chunk_.words.size() > common) fail_where_one_ends(gold_spec_, gold_chunk_, predicted_spec_);
    if (predicted_chunk_.words.size() > common) fail_where_one_ends(predicted_spec_, predicted_chunk_, gold_spec_);
  }
}

// Calls use(gold, predicted) for each sentence.
template <class Use>
void for_each_sentence(const PairReader& files, Use use) {
  size_t begin = 0;
  for (const size_t end : files.sentence_ends) {
    use(std::span(files.gold).subspan(begin, end - begin), std::span(files.predicted).subspan(begin, end - begin));
    begin = end;
  }
}

}  // namespace

const Task& scorable_task(const TaskSet& tasks, const std::string& name) {
  const Task* const task = tasks.find(name);
  if (task != nullptr && !task->masked()) return *task;
  std::vector<std::string> names;
  for (const auto& known : tasks)
    if (!known->masked()) names.push_back(known->name());
  throw UserError(ExitCode::kUsage,
                  fmt::format("--task {}: {} can be scored", quote_for_message(name), fmt::join(names, " and ")));
}

FileScores score_files(const SourceSpec& gold_source, const SourceSpec& predicted_source, const Task& task) {
  SourceSpec gold = gold_source, predicted = predicted_source;
  for (SourceSpec* spec : {&gold, &predicted}) task.complete(*spec);
  PairReader files(gold, predicted, task);
  files.read();

  FileScores scores;
  scores.task = task.name();
  scores.gold_path = name_of(gold);
  scores.predicted_path = name_of(predicted);
  scores.sentences = static_cast<int64_t>(files.sentence_ends.size());
  const std::unique_ptr<Scorer> scorer = task.scorer(files.tags);
  for_each_sentence(files, [&](auto gold_tags, auto predicted_tags) {
    scorer->add({.gold = gold_tags, .predicted = predicted_tags});
  });
  scorer->add_to(scores);
  std::sort(scores.tags.begin(), scores.tags.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return scores;
}

}  // namespace hyperx::data
