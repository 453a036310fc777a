#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "trainer/estimate/model_sizes.h"

namespace hyperx::estimate {

// A step's mini-batches, of all ranks together; means over the mixture's draws.
struct StepSizes {
  double pairs = 1;                           // K
  double sentences = 32;                      // of all pairs
  double tokens = 0;                          // [CLS] and [SEP] included
  double squares = 0;                         // Σ length² over sentences: what attention costs
  double labelled = 0;                        // words of tagging tasks
  double masked = 0;                          // masked tokens of mlm
  std::map<std::string, double> task_shares;  // of the draws
};

// The share of a step that one of `ranks` computes: an equal part, but a sentence, or with `whole_pairs` a mini-batch,
// is never cut.
StepSizes share_of(const StepSizes& step, int ranks, bool whole_pairs);

// What one rank computes in a step. Each kind of work has a rate of its own, which `hyperx-bench step` measures.
struct StepWork {
  double product_operations = 0;    // of the encoder's, the method's and the heads' products, forward and backward
  double weight_bytes = 0;          // that the products read, however few the tokens
  double attention_operations = 0;  // 12 h Σ length² a layer
  double element_bytes = 0;         // read and written by norms, activations, dropout and sums
  double generator_bytes = 0;       // passes over what the method updates and generates
  double generator_operations = 0;  // the method's products that do not grow with the tokens
  double forward_share = 0;         // of these products, without those of the gradient
  double layer_passes = 0;          // layers times pairs: what calls cost whatever their size
};

StepWork work_of(const StepSizes& share, const ModelSizes& model, const model::MethodCosts& costs,
                 double value_bytes);  // of an activation

// Sizes of a mean step, from the counts of a corpus's train splits and the draws of train.temperature. Not in the
// index, so assumed: Σ length² = 1.4 times (mean length)², bounded by the longest.
StepSizes step_of_corpus(const data::CorpusIndex& index, const std::vector<data::Pair>& pairs, const Config& config);
// Without a corpus: 22 tokens and 16 words a sentence, as in English EWT, the tasks of train.pairs drawn alike.
StepSizes step_by_default(const data::TaskSet& tasks, const TrainConfig& config);

}  // namespace hyperx::estimate
