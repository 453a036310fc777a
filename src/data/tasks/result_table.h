#pragma once

#include <string>
#include <vector>

#include "data/tasks/result_file.h"

namespace hyperx::data {

struct LanguageInfo {
  std::string code;
  std::string name;
  bool in_mbert = false;  // among the languages that multilingual BERT was pretrained on ("seen")
};

// The 17 languages of the paper, English first, then seen and unseen ones; nullptr for another code.
const LanguageInfo* find_language(const std::string& code);

// A table for people: a row a language (seen, unseen, others), a column a task of its main metric: shares in per cent,
// losses as they are. `*` marks pairs that were trained, `(61.2)` is the baseline where results have one. Below it
// means over seen and unseen languages, and over pairs trained and never trained, each with the number of pairs.
// Results of one split.
std::string results_table(const std::vector<EvaluationResult>& results);

}  // namespace hyperx::data
