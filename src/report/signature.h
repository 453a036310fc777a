#pragma once

#include <string>
#include <vector>

#include "data/tasks/result_file.h"

// What a result's signature says, and whether two results can be compared.
namespace hyperx::report {

// `pos:tr|test|source=NAME@DIGEST|n=1100/10032|accuracy,max_subwords=256,Float|hyperx 0.2.0`
struct Signature {
  std::string source, size, scorer, version;
};
Signature parse_signature(const std::string& text);  // "" for a part that is missing

// What makes the two incomparable, as "the test files differ: A, B"; "": nothing does. Compares test file, numbers of
// sentences and words, and the length to which sentences were cut.
std::string hard_difference(const data::EvaluationResult& a, const data::EvaluationResult& b);
// What a reader should know although the scores can be compared: other corpus around the same test file, other
// arithmetic, another version of hyperx. Sentences without the pair's name.
std::vector<std::string> soft_differences(const data::EvaluationResult& a, const data::EvaluationResult& b);

}  // namespace hyperx::report
