#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/batch/batch_maker.h"
#include "data/corpus/corpus.h"
#include "data/tasks/result_file.h"
#include "model/comm/communicator.h"
#include "model/model.h"

namespace hyperx::train {

// Predicted tags of a split: one entry per word of the file, kNoPrediction for words without a label position.
struct SplitPredictions {
  std::vector<data::LabelId> labels;  // [words]
};

// Scores pairs with a model. All ranks share the work, over the batches of all pairs together. The batches do not
// depend on the number of ranks, and results are assembled in the order of the file, so the metrics do not depend on it
// either.
class Evaluator {
 public:
  // `on_progress` is called after every batch; it reports progress to the watchdog.
  Evaluator(model::Model& model, const data::Corpus& corpus, comm::Communicator& communicator, const Config& config,
            std::function<void()> on_progress);

  // Scores the splits' first eval.limit sentences (0: all), one result per pair. Collective. The caller sets digests
  // and `trained`. `predictions`, if given, becomes [pairs]. UserError (65): a split is damaged.
  std::vector<data::EvaluationResult> evaluate(const std::vector<data::Pair>& pairs, const std::string& split,
                                               std::vector<SplitPredictions>* predictions = nullptr);

  // The corpus's tasks, with the configured metric.
  const data::TaskSet& tasks() const { return tasks_; }

 private:
  struct Findings;

  void evaluate_group(const std::vector<data::Pair>& pairs, const std::string& split,
                      std::vector<data::EvaluationResult>& results, std::vector<SplitPredictions>* predictions);
  void compute(const data::BatchMaker& maker, Findings& findings);
  void tag(const data::Batch& batch, const data::Split& split, int64_t* words);
  void add_losses(const data::Batch& batch, double* losses, double* counts);
  data::EvaluationResult tag_result(const data::Task& task, const data::Split& split, const int64_t* words,
                                    SplitPredictions* predictions) const;
  data::EvaluationResult masked_result(const data::Task& task, const data::Split& split, const double* losses,
                                       const double* counts) const;

  model::Model& model_;
  const data::Corpus& corpus_;
  comm::Communicator& communicator_;
  const Config& config_;
  const data::TaskSet tasks_;
  std::function<void()> on_progress_;
};

// The settings that determine a result besides checkpoint and corpus, for its signature: metric, truncation, compute
// type, and Method::built_on. Results that differ in it are not comparable.
std::string scorer_text(const Config& config, const std::string& main_metric, at::ScalarType compute,
                        const std::string& built_on);

// The best label of each row with a label in a batch of one pair; of a tree, with the heads as numbers of words of the
// sentence, from 1.
std::vector<int64_t> best_labels(model::Model& model, const data::Batch& batch);

// The pairs of `set` that `model` can score on `split`: known task, known language (any, if the method's output does
// not depend on it), and a split that is not used for training. With an empty set, all such pairs. A named pair that
// cannot be scored is a UserError (78), or, if the set has a *, left out: `left_out` becomes those; without it, they
// are logged.
std::vector<data::Pair> scorable_pairs(const data::Corpus& corpus, const std::string& set, const std::string& split,
                                       const model::ModelOptions& model, const std::string& key,
                                       std::string* left_out = nullptr);

}  // namespace hyperx::train
