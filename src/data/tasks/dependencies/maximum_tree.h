#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hyperx::data {

// The heads of the spanning tree with the largest sum of scores in which exactly one word hangs on the root (Chu and
// Liu 1965, Edmonds 1967). scores [words, words + 1]: of each word (row) with the root (column 0) and with word k
// (column k); finite. A word is never its own head. Returns [words], 0 for the root; of trees with equal sums, any.
std::vector<int32_t> maximum_tree(std::span<const double> scores, int32_t words);

}  // namespace hyperx::data
