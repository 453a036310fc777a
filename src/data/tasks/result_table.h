#pragma once

#include <string>
#include <vector>

#include "data/tasks/result_file.h"

namespace hyperx::data {

struct LanguageInfo {
  std::string code;
  std::string name;
  bool in_mbert = false;  // among the languages that multilingual BERT was pre-trained on ("seen")
};

// The 17 languages of the paper: English first, then seen and unseen ones. nullptr for any other code.
const LanguageInfo* find_language(const std::string& code);

// A table for people: one row per language (seen, unseen, others) and one column per task with its main metric, shares
// in per cent and losses unchanged. `*` marks pairs that were trained; `(61.2)` is the baseline, if the results have
// one. Below it are means over seen and unseen languages, and over trained and untrained pairs, each with the number of
// pairs. All results must be of one split.
std::string results_table(const std::vector<EvaluationResult>& results);

}  // namespace hyperx::data
