#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/config.h"
#include "data/batch_maker.h"
#include "data/corpus.h"
#include "data/result_file.h"
#include "model/model.h"
#include "trainer/comm/communicator.h"

namespace hyperx::train {

// Predicted tags of a split: an entry a word of the file, kNoPrediction for words without a label position.
struct SplitPredictions {
  std::vector<data::LabelId> labels;  // [words]
};

// Scores pairs with a model. All ranks share the work; every batch is the same whatever their number, and what they
// find is put together in the order of the file, so that the numbers are the same too.
class Evaluator {
 public:
  // `on_progress` is called after every batch: the watchdog's sign of life.
  Evaluator(model::Model& model, const data::Corpus& corpus, comm::Communicator& communicator, const Config& config,
            std::function<void()> on_progress);

  // The split's first eval.limit sentences (0: all). Collective. Signature, digests and `trained` are the caller's.
  data::EvaluationResult evaluate(const data::Pair& pair, const std::string& split,
                                  SplitPredictions* predictions = nullptr);

 private:
  data::EvaluationResult evaluate_tags(const data::BatchMaker& maker, const data::Pair& pair,
                                       SplitPredictions* predictions);
  data::EvaluationResult evaluate_masked(const data::BatchMaker& maker, const data::Pair& pair);
  void predict_batch(const data::Batch& batch, const data::Split& split, std::vector<int64_t>& words);

  model::Model& model_;
  const data::Corpus& corpus_;
  comm::Communicator& communicator_;
  const Config& config_;
  std::function<void()> on_progress_;
};

// What decides a result beside checkpoint and corpus, for its signature: metric, truncation, type of the products. A
// result with another one is not the same.
std::string scorer_text(const Config& config, const std::string& main_metric, at::ScalarType compute);

// Index of the best score of each row. logits [rows, classes]
std::vector<int64_t> best_labels(const at::Tensor& logits);

// The pairs of `set` that `model` can score on `split`: known task and language, a split that never trained. With an
// empty set, all such pairs; a pair that is named but cannot be scored is a UserError (78), or, if the set has a *,
// left out.
std::vector<data::Pair> scorable_pairs(const data::Corpus& corpus, const std::string& set, const std::string& split,
                                       const model::ModelOptions& model, const std::string& key);

}  // namespace hyperx::train
