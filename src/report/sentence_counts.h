#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tasks/scorer.h"
#include "report/run_results.h"

namespace hyperx::report {

// What the sentences of a test file contribute to a metric.
struct SentenceCounts {
  std::vector<data::MetricSums> sentences;  // the metric is the ratio of the two sums
  std::vector<uint64_t> gold;               // [sentences] a digest of the gold tags: equal for equal sentences
};

// Reads the predictions next to a result and scores them with the task's own scorer. UserError: 66 there are none;
// 65 the file is damaged, or its score is not that of the result, so that it belongs to another one.
SentenceCounts read_sentence_counts(const ResultFile& file, const std::string& metric);

// Whether the metric of a task is a ratio of sums over sentences. Seqeval's F1 over bare tags, for example, is not.
bool is_resampled(const std::string& task, const std::string& metric);

}  // namespace hyperx::report
