#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/corpus/corpus.h"
#include "data/tasks/result_file.h"
#include "model/comm/communicator.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/evaluation/score_plan.h"

namespace hyperx {

// What every evaluation of a command has in common.
struct ScoringSetup {
  const CommandLine& line;
  at::Device device;
  std::string precision;  // agreed by all ranks: fp32, bf16 or fp64
  bool again = false;     // also what is scored already
  std::function<void()> on_progress;
  std::map<std::string, data::Corpus> corpora = {};  // opened so far, by folder
  std::set<std::string> checked = {};                // corpora and encoders that fit such a model
  std::set<std::string> told = {};                   // messages that need not be repeated for each checkpoint

  const data::Corpus& corpus(const std::string& folder);
  std::vector<std::string> splits() const;  // of eval.split
};

// The scores of a checkpoint that are wanted and do not exist yet, and those that do. Reads no tensors.
struct CheckpointScores {
  std::vector<train::Score> missing, present;
};
// UserError: 78 no pair can be scored, or eval.pairs names one that cannot; 65, 66 the corpus is missing or damaged.
CheckpointScores scores_of(const train::Checkpoint& checkpoint, ScoringSetup& setup);

// A checkpoint with its model in memory. Scores pairs and writes one result file per pair.
class CheckpointScorer {
 public:
  CheckpointScorer(const train::Checkpoint& checkpoint, ScoringSetup& setup);
  // The ranks of `communicator` share the work; its rank 0 writes, and gets the results. Collective in it. With
  // eval.limit nothing is written.
  std::vector<data::EvaluationResult> score(const std::string& split, const std::vector<data::Pair>& pairs,
                                            comm::Communicator& communicator);
  const train::LoadedModel& loaded() const { return loaded_; }

 private:
  void write(const std::string& folder, const data::EvaluationResult& result,
             const train::SplitPredictions& predictions) const;

  ScoringSetup& setup_;
  const train::LoadedModel loaded_;
  const Config config_;
  const data::Corpus& corpus_;
};

}  // namespace hyperx
