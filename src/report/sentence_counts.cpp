#include "report/sentence_counts.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>

#include "common/errors.h"
#include "common/files.h"
#include "common/random.h"
#include "data/source/source_reader.h"
#include "data/tasks/task_set.h"

namespace hyperx::report {
namespace {

constexpr char kNoTag[] = "_";
constexpr size_t kMostTags = 1000;  // with more, the file holds something else
constexpr double kTolerance = 1e-9;

// A line of a predictions file (docs/file_formats.md): the gold tag and the predicted one, views into the file. Both
// are empty at the end of a sentence.
struct Word {
  std::string_view gold, predicted;
};

class PredictionsFile {
 public:
  PredictionsFile(const std::string& path, const data::Task& task)
      : path_(path), task_(task), text_(read_file(path)), columns_per_tag_(task.is_tree() ? 2 : 1) {
    std::string_view rest = text_;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const bool ends_twice = line.empty() && (words_.empty() || words_.back().gold.empty());
      if (ends_twice) fail("a sentence without words");
      words_.push_back(line.empty() ? Word{} : word_of(line));
    }
    if (!words_.empty() && !words_.back().gold.empty()) fail("ends within a sentence");
    number_tags();
  }

  // What the task's scorer is made with: its labels, or the tags of the file.
  const std::vector<std::string>& tags() const { return task_.is_tree() ? task_.labels() : tags_; }

  // Calls use(gold labels, predicted labels, digest of the gold tags) for each sentence.
  template <class Use>
  void for_each_sentence(Use use) const {
    std::vector<data::LabelId> gold, predicted;
    uint64_t digest = 0;
    for (size_t i = 0; i < words_.size(); ++i) {
      const Word& word = words_[i];
      if (word.gold.empty()) {
        use(gold, predicted, digest);
        gold.clear(), predicted.clear(), digest = 0;
        continue;
      }
      gold.push_back(label_of(word.gold, i));
      predicted.push_back(is_no_prediction(word.predicted) ? data::kNoPrediction : label_of(word.predicted, i));
      digest = mix64(digest ^ std::hash<std::string_view>()(word.gold));
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { fail(what, words_.size()); }
  [[noreturn]] void fail(const std::string& what, size_t line) const {
    throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}: evaluate again, with --force --eval.predictions yes",
                                                    path_, line + 1, what));
  }

  Word word_of(std::string_view line) {
    data::split_columns(line, '\t', false, columns_);
    if (columns_.size() != 2 * columns_per_tag_)
      fail(fmt::format("{} columns, where {} are expected", columns_.size(), 2 * columns_per_tag_));
    const auto middle = static_cast<size_t>(columns_[columns_per_tag_].data() - line.data());
    if (middle < 2 || middle == line.size()) fail("an empty tag");
    return {line.substr(0, middle - 1), line.substr(middle)};
  }

  // `_` is no prediction, unless the gold file has it as a tag.
  bool is_no_prediction(std::string_view tag) const {
    return task_.is_tree() ? tag == task_.no_prediction() : tag == kNoTag && !numbers_.contains(tag);
  }

  void number_tags() {
    if (task_.is_tree()) return;
    for (const bool is_gold : {true, false})
      for (size_t i = 0; i < words_.size(); ++i) {
        const std::string_view tag = is_gold ? words_[i].gold : words_[i].predicted;
        if (tag.empty() || numbers_.contains(tag) || (!is_gold && tag == kNoTag)) continue;
        if (tags_.size() == kMostTags || !task_.may_be_tag(std::string(tag)))
          fail(fmt::format("'{}' is no tag of {}", tag, task_.name()), i);
        numbers_.emplace(tag, static_cast<data::LabelId>(tags_.size()));
        tags_.emplace_back(tag);
      }
  }

  data::LabelId label_of(std::string_view tag, size_t line) const {
    if (!task_.is_tree()) return numbers_.find(tag)->second;
    const auto label = task_.label_of(tag);
    if (!label) fail(fmt::format("'{}' is no label of {}", tag, task_.name()), line);
    return *label;
  }

  const std::string path_;
  const data::Task& task_;
  const std::string text_;
  const size_t columns_per_tag_;
  std::vector<Word> words_;
  std::vector<std::string_view> columns_;
  std::vector<std::string> tags_;  // by number
  std::map<std::string_view, data::LabelId> numbers_;
};

const data::Task* find_task(const std::string& name) {
  static const data::TaskSet tasks = data::TaskSet::all();
  return tasks.find(name);
}

}  // namespace

bool is_resampled(const std::string& task, const std::string& metric) {
  const data::Task* const found = find_task(task);
  return found != nullptr && found->scorer(found->labels())->sums(metric).has_value();
}

SentenceCounts read_sentence_counts(const ResultFile& file, const std::string& metric) {
  const data::Task* const task = find_task(file.result.pair.task);
  HYPERX_CHECK(task != nullptr, "is_resampled() is asked first");
  const std::string path = file.predictions_path();
  const PredictionsFile words(path, *task);
  const std::unique_ptr<data::Scorer> scorer = task->scorer(words.tags());
  SentenceCounts counts;
  data::MetricSums before;
  words.for_each_sentence([&](const auto& gold, const auto& predicted, uint64_t digest) {
    scorer->add({.gold = gold, .predicted = predicted});
    const data::MetricSums now = *scorer->sums(metric);
    counts.sentences.push_back({now.part - before.part, now.whole - before.whole});
    counts.gold.push_back(digest);
    before = now;
  });
  const auto stored = file.result.metrics.values.find(metric);
  const bool is_same = stored != file.result.metrics.values.end() &&
                       std::abs(stored->second - before.value()) < kTolerance &&
                       std::ssize(counts.sentences) == file.result.sentences;
  if (!is_same)
    throw UserError(
        ExitCode::kBadData,
        fmt::format(
            "{}: {} sentences with {} {}, but {} says {} and {}: they are of different evaluations; "
            "evaluate again, with --force --eval.predictions yes",
            path, counts.sentences.size(), metric, before.value(), file.path, file.result.sentences,
            stored == file.result.metrics.values.end() ? std::string("nothing") : fmt::format("{}", stored->second)));
  return counts;
}

}  // namespace hyperx::report
