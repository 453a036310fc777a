#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "trainer/estimate/model_sizes.h"

namespace hyperx::estimate {

// Sizes of a step's mini-batches, over all ranks; means over the mixture's draws.
struct StepSizes {
  double pairs = 1;                           // K
  double sentences = 32;                      // of all pairs
  double tokens = 0;                          // [CLS] and [SEP] included
  double squares = 0;                         // Σ length² over sentences: proportional to the cost of attention
  double labelled = 0;                        // words of tagging tasks
  double masked = 0;                          // masked tokens of mlm
  std::map<std::string, double> task_shares;  // share of the draws by task
};

// The share of a step that one of `ranks` computes: an equal part, but a sentence is never divided, nor, with
// `whole_pairs`, a mini-batch.
StepSizes share_of(const StepSizes& step, int ranks, bool whole_pairs);

// The work of one rank in a step. Each kind of work has its own rate, which `hyperx-bench step` measures.
struct StepWork {
  double product_operations = 0;    // encoder, method and heads, forward and backward
  double weight_bytes = 0;          // weights that the products read, however few the tokens
  double attention_operations = 0;  // 12 h Σ length² per layer
  double element_bytes = 0;         // read and written by norms, activations, dropout and sums
  double generator_bytes = 0;       // passes over what the method updates and generates
  double generator_operations = 0;  // products of the method that do not grow with the tokens
  double forward_share = 0;         // share of these that is in the forward pass
  double layer_passes = 0;          // layers times pairs: calls that cost the same whatever their size
};

StepWork work_of(const StepSizes& share, const ModelSizes& model, const model::MethodCosts& costs,
                 double value_bytes);  // of an activation

// Sizes of a mean step, from the counts of a corpus's train splits and the draws of train.temperature. Σ length² is not
// in the index, so it is assumed to be 1.4 times (mean length)², bounded by the longest.
StepSizes step_of_corpus(const data::CorpusIndex& index, const std::vector<data::Pair>& pairs, const Config& config);
// Without a corpus: 22 tokens and 16 words per sentence, as in English EWT; the tasks of train.pairs are drawn equally.
StepSizes step_by_default(const data::TaskSet& tasks, const TrainConfig& config);

}  // namespace hyperx::estimate
