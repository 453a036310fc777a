#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "data/batch/batch_maker.h"
#include "data/batch/mixture.h"

namespace hyperx::data {

// How a step's sentences come to a rank.
struct StepShare {
  int rank = 0, ranks = 1;
  ShareMode mode = ShareMode::kSplit;
  int64_t micro_batch_tokens = 0;  // 0: one piece
};

// What one rank computes in one step.
struct StepBatch {
  int64_t step = 0;
  std::vector<DrawSummary> draws;  // [pairs_per_step] the whole step, over all ranks
  std::vector<int> owners;         // [draws] the rank that holds each mini-batch, where they are whole
  std::vector<Batch> pieces;  // this rank's sentences, cut by micro_batch_tokens; empty: the rank has none this step
};

StepBatch make_step(const BatchMaker& maker, const StepPlan& plan, const StepShare& share);

// The steps that need most memory, one of a tagged pair and one of a masked: in all its draws, the pair whose
// `batch_sentences` longest sentences have most tokens, with these. Reads every sentence's length.
std::vector<StepPlan> largest_steps(const BatchMaker& maker, int64_t draws, int64_t batch_sentences);

// Makes a rank's batches ahead in a thread of its own. A second one compares a pair's arrays with their digests when
// the pair is first drawn; batches do not wait for it, as a large pair takes seconds, but the last one does.
class BatchLoader {
 public:
  struct Options {
    StepShare share{};
    int64_t first_step = 0;
    bool verify = true;
    size_t ahead = 3;  // batches made before they are asked for
  };

  // `maker` must outlive the loader; `mixture` is copied. The thread ends at mixture.total_steps().
  BatchLoader(const BatchMaker& maker, const Mixture& mixture, const Options& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // Steps must be asked for in order, from first_step. What went wrong in making a batch is thrown here, at its step; a
  // wrong digest as soon as it is known, and at the last step at the latest.
  StepBatch next(int64_t step);

 private:
  void work();
  void verify(const std::stop_token& stop);
  StepBatch make(int64_t step);

  const BatchMaker& maker_;
  Mixture mixture_;  // the thread's own
  Options options_;
  int64_t last_step_;
  std::vector<bool> asked_;  // [pairs] whether its verification was asked for; the thread's own

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<StepBatch> ready_;
  std::deque<int> unverified_;  // pairs drawn whose digests are still to be compared
  std::exception_ptr error_, damage_;
  bool stop_ = false;

  std::thread thread_;     // last: they use all of the above
  std::jthread verifier_;  // stops at once
};

}  // namespace hyperx::data
