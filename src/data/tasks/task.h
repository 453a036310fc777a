#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/schema.h"
#include "common/config/sections.h"
#include "data/source/sentence_reader.h"
#include "data/tasks/scorer.h"

namespace hyperx::data {

// A task that is learnt: how its labels are read, scored and written. A task is one row of tasks.cpp; no code outside
// data/tasks/ and model/heads/ depends on which task it has. The tensor part is a head (model/heads/head.h).
class Task {
 public:
  Task(std::string name, std::vector<std::string> labels) : name_(std::move(name)), labels_(std::move(labels)) {}
  virtual ~Task() = default;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& labels() const { return labels_; }  // in order; empty for a masked task
  virtual const char* head() const = 0;                               // name of a row of model/heads/heads.cpp
  // Labels are tokens drawn from running text: there are no words, and no tags are read or predicted.
  virtual bool masked() const { return false; }

  // Whether files of this format hold gold labels of the task.
  virtual bool reads(SourceFormat format) const = 0;
  // Sets the task's own reading options in a source.
  virtual void complete([[maybe_unused]] SourceSpec& source) const {}
  // The label of a tag; none: the tag is not a label of the task. By default the tag's index in labels().
  virtual std::optional<LabelId> label_of(std::string_view tag) const;
  // The tag of a label.
  virtual std::string tag_of(LabelId label) const { return labels_[static_cast<size_t>(label)]; }
  // Labels of a sentence of so many words are in [0, label_kinds).
  virtual int64_t label_kinds([[maybe_unused]] int64_t words) const { return std::ssize(labels_); }
  // What is wrong with a tag that has no label, for the message about its line; "": only that it is no label.
  virtual std::string why_not([[maybe_unused]] std::string_view tag) const { return ""; }
  // Whether the label of a tag leaves out a part of it, such as the sub-type of a relation.
  virtual bool is_cut([[maybe_unused]] std::string_view tag) const { return false; }
  // Labels are heads and relations of a tree (dependencies/dependency_label.h), for which a head reads every sub-word.
  virtual bool is_tree() const { return false; }
  // Whether a file that is scored may hold this tag: such a file may have tags outside labels(), unless it is a tree.
  virtual bool may_be_tag([[maybe_unused]] const std::string& tag) const { return true; }

  // What `predict` writes for a word without a prediction.
  virtual std::string no_prediction() const = 0;
  // The tag that says "no prediction" where `source` is scored; empty: every tag is a prediction.
  virtual std::string untagged([[maybe_unused]] const SourceSpec& source) const { return ""; }

  virtual std::string main_metric() const = 0;  // key of MetricSet::values
  virtual bool larger_is_better() const { return true; }
  // Whether the main metric selects the best checkpoint. If no evaluated task does, all do (best_score.h).
  virtual bool selects_best() const { return true; }
  // Label ids of the sentences index `tags`, which are labels() or the tags found in two files.
  virtual std::unique_ptr<Scorer> scorer(const std::vector<std::string>& tags) const = 0;

 private:
  std::string name_;
  std::vector<std::string> labels_;
};

// "conllu or tagged": the formats that hold gold labels of the task.
std::string formats_of(const Task& task);

// An option that determines what `prepare` reads. The corpus stores its value, and every reader of the corpus takes it
// from there.
struct CorpusOption {
  const char* key;  // in the corpus's index
  std::string (*get)(const Sections& options);
  void (*set)(Sections& options, const std::string& value);
};

struct TaskRow {
  std::string name;
  std::vector<std::string> labels;  // declared, in order
  std::shared_ptr<const Task> (*make)(const std::string& name, std::vector<std::string> labels,
                                      const Sections& options);
  void (*add_options)(config::Schema& schema) = nullptr;
  std::vector<CorpusOption> corpus_options = {};
};

// Every task of this version.
std::span<const TaskRow> task_rows();

void add_task_options(config::Schema& schema);

}  // namespace hyperx::data
