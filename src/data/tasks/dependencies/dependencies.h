#pragma once

#include "data/tasks/task.h"

namespace hyperx::data {

// Dependency trees: the head and the relation of every syntactic word, from HEAD and DEPREL of CoNLL-U. A tag is the
// text of both columns, "3<TAB>nsubj". Sub-types of relations (after a colon) are cut.
class Dependencies : public Task {
 public:
  using Task::Task;

  const char* head() const override { return "biaffine"; }
  bool is_tree() const override { return true; }
  bool reads(SourceFormat format) const override { return format == SourceFormat::kConllu; }
  // UserError (65): the source has a label map.
  void complete(SourceSpec& source) const override;
  std::optional<LabelId> label_of(std::string_view tag) const override;
  std::string tag_of(LabelId label) const override;
  int64_t label_kinds(int64_t words) const override { return (words + 1) * std::ssize(labels()); }
  std::string why_not(std::string_view tag) const override;
  bool is_cut(std::string_view tag) const override { return tag.find(':') != std::string_view::npos; }
  std::string no_prediction() const override { return "_\t_"; }
  std::string untagged(const SourceSpec&) const override { return no_prediction(); }
  std::string main_metric() const override { return "las"; }
  std::unique_ptr<Scorer> scorer(const std::vector<std::string>& tags) const override;
};

// The 37 universal relations in alphabetical order, and `_`.
std::vector<std::string> universal_relations();

}  // namespace hyperx::data
