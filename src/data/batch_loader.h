#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "data/batch_maker.h"
#include "data/mixture.h"

namespace hyperx::data {

// What one rank computes in one step.
struct StepBatch {
  int64_t step = 0;
  std::vector<DrawSummary> draws;  // [pairs_per_step] the whole step, over all ranks
  std::vector<int> owners;         // [draws] the rank that holds each mini-batch, where they are whole
  std::vector<Batch> pieces;  // this rank's sentences, cut by micro_batch_tokens; empty: the rank has none this step
};

// Makes a rank's batches ahead in a thread of its own.
class BatchLoader {
 public:
  struct Options {
    int rank = 0, ranks = 1;
    ShareMode mode = ShareMode::kSplit;
    int64_t micro_batch_tokens = 0;  // 0: one piece
    int64_t first_step = 0;
    bool verify = true;  // a pair's arrays are compared with their digests when it is first drawn
    size_t ahead = 3;    // batches made before they are asked for
  };

  // `maker` must outlive the loader; `mixture` is copied. The thread ends at mixture.total_steps().
  BatchLoader(const BatchMaker& maker, const Mixture& mixture, const Options& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // Steps must be asked for in order, from first_step. What went wrong in the thread is thrown here, at the step that
  // it hit.
  StepBatch next(int64_t step);

 private:
  void work();
  StepBatch make(int64_t step);

  const BatchMaker& maker_;
  Mixture mixture_;  // the thread's own
  Options options_;
  int64_t last_step_;
  std::vector<bool> verified_;  // [pairs] the thread's own

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<StepBatch> ready_;
  std::exception_ptr error_;
  bool stop_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace hyperx::data
