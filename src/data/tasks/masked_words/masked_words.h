#pragma once

#include "data/tasks/task.h"

namespace hyperx::data {

// Masked language modelling: sub-words of running text are hidden and predicted. The metric is its loss.
class MaskedWords : public Task {
 public:
  using Task::Task;

  const char* head() const override { return "masked_words"; }
  bool masked() const override { return true; }
  bool reads(SourceFormat format) const override { return format == SourceFormat::kText; }
  std::string no_prediction() const override { return ""; }
  std::string main_metric() const override { return "loss"; }
  bool larger_is_better() const override { return false; }
  bool selects_best() const override { return false; }
  std::unique_ptr<Scorer> scorer(const std::vector<std::string>& tags) const override;
};

}  // namespace hyperx::data
