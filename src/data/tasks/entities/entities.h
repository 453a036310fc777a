#pragma once

#include "data/tasks/task.h"

namespace hyperx::data {

// Spans of words as tags O, B-TYPE and I-TYPE, scored by entity as in seqeval. Read from tagged lines.
class Entities : public Task {
 public:
  using Task::Task;

  const char* head() const override { return "token_classification"; }
  bool reads(SourceFormat format) const override { return format == SourceFormat::kTagged; }
  bool may_be_tag(const std::string& tag) const override;
  std::string no_prediction() const override { return "O"; }
  std::string main_metric() const override { return "f1"; }
  std::unique_ptr<Scorer> scorer(const std::vector<std::string>& tags) const override;
};

}  // namespace hyperx::data
