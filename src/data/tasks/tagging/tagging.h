#pragma once

#include "data/tasks/tagging/pos_options.h"
#include "data/tasks/task.h"

namespace hyperx::data {

// One tag per word, such as its part of speech: CoNLL-U (UPOS) or tagged lines. `_` where there is none.
class Tagging : public Task {
 public:
  // With pos.multiword = keep, `_` is an additional label.
  Tagging(std::string name, std::vector<std::string> labels, const Sections& options);

  const char* head() const override { return "token_classification"; }
  bool reads(SourceFormat format) const override { return format != SourceFormat::kText; }
  void complete(SourceSpec& source) const override;
  std::string no_prediction() const override;
  std::string untagged(const SourceSpec& source) const override;
  std::string main_metric() const override;
  std::unique_ptr<Scorer> scorer(const std::vector<std::string>& tags) const override;

 private:
  PosOptions options_;
};

// The 17 universal parts of speech, in the order of the UD guidelines' list.
std::vector<std::string> universal_tags();

}  // namespace hyperx::data
