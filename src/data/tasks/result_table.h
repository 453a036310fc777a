#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/tasks/result_file.h"

namespace hyperx::data {

// Codes of the languages whose text an encoder was trained on; nothing: unknown.
using LanguagesRead = std::optional<std::set<std::string>>;

// A table for people: one row per language (those that the encoder has read, then the others; English first, then by
// name) and one column per task with its main metric, shares in per cent and losses unchanged. `*` marks pairs that
// were trained; `(61.2)` is the baseline, if the results have one. Below it are means over both kinds of languages, and
// over trained and untrained pairs, each with the number of pairs. All results must be of one split.
std::string results_table(const std::vector<EvaluationResult>& results, const LanguagesRead& read);

}  // namespace hyperx::data
