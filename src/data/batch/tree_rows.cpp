#include "data/batch/tree_rows.h"

#include "common/errors.h"
#include "data/tasks/dependencies/dependency_label.h"

namespace hyperx::data {

std::vector<int64_t> candidates_of(std::span<const int32_t> positions, int64_t kept) {
  std::vector<int64_t> candidates{0};
  int64_t last = 0;
  for (const int32_t position : positions) candidates.push_back(position >= 0 && position < kept ? ++last : -1);
  return candidates;
}

void number_heads(const Batch& batch, int64_t relations, std::vector<int64_t>& labels) {
  HYPERX_CHECK(labels.size() == batch.label_words.size(), "labels of another batch");
  std::vector<int64_t> numbers;  // of the words with rows, in order
  for (size_t begin = 0, end = 0; begin < labels.size(); begin = end) {
    numbers = {0};
    for (end = begin + 1; end < labels.size() && batch.label_words[end] >= 0; ++end)
      if (batch.label_words[end] != batch.label_words[end - 1]) numbers.push_back(batch.label_words[end] + 1);
    for (size_t row = begin + 1; row < end; ++row) {
      DependencyLabel label = DependencyLabel::of(labels[row], relations);
      label.head = numbers.at(static_cast<size_t>(label.head));
      labels[row] = label.packed(relations);
    }
  }
}

}  // namespace hyperx::data
