#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "data/batch/batch_maker.h"
#include "data/batch/mixture.h"

namespace hyperx::data {

// How a rank gets its share of a step's sentences.
struct StepShare {
  int rank = 0, ranks = 1;
  ShareMode mode = ShareMode::kSplit;
  int64_t micro_batch_tokens = 0;  // 0: one piece
};

// What one rank computes in one step.
struct StepBatch {
  int64_t step = 0;
  std::vector<DrawSummary> draws;  // [pairs_per_step] the whole step, over all ranks
  std::vector<int> owners;         // [draws] the rank that holds each mini-batch, in ShareMode::kWhole
  std::vector<Batch> pieces;       // this rank's sentences, cut by micro_batch_tokens; empty: it has none in this step
};

StepBatch make_step(const BatchMaker& maker, const StepPlan& plan, const StepShare& share);

// The steps that need the most memory, one of a tagged pair and one of a masked pair. All draws of such a step are of
// the pair whose `batch_sentences` longest sentences have the most tokens, and take these sentences. Reads the length
// of every sentence.
std::vector<StepPlan> largest_steps(const BatchMaker& maker, int64_t draws, int64_t batch_sentences);

// Prepares a rank's batches ahead of time in its own thread. A second thread compares a pair's arrays with their
// digests when the pair is first drawn. This takes seconds for a large pair, so only checkpoints and the last batch
// wait for it.
class BatchLoader {
 public:
  struct Options {
    StepShare share{};
    int64_t first_step = 0;
    bool verify = true;
    size_t ahead = 3;  // batches prepared before they are asked for
  };

  // `maker` must outlive the loader; `mixture` is copied. The thread ends at mixture.total_steps().
  BatchLoader(const BatchMaker& maker, const Mixture& mixture, const Options& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // Steps must be asked for in order, from first_step. An error in preparing a batch is thrown here, at its step. A
  // wrong digest is thrown as soon as it is known, at the latest at the last step.
  StepBatch next(int64_t step);
  // Waits until the arrays of all batches given so far are compared with their digests; throws if one is wrong. Calls
  // `beat` once a second while it waits.
  void require_verified(const std::function<void()>& beat);

 private:
  void work();
  void verify(const std::stop_token& stop);
  StepBatch make(int64_t step);

  const BatchMaker& maker_;
  Mixture mixture_;  // used only by the thread
  Options options_;
  int64_t last_step_;
  std::vector<bool> asked_;  // [pairs] whether its verification was requested; used only by the thread

  std::mutex mutex_;  // guards the members below
  std::condition_variable changed_;
  std::deque<StepBatch> ready_;
  std::deque<int> unverified_;  // pairs that were drawn and whose digests are still to be compared
  std::exception_ptr error_, damage_;
  bool stop_ = false;

  std::thread thread_;     // last: the threads use all of the above
  std::jthread verifier_;  // stops without delay
};

}  // namespace hyperx::data
