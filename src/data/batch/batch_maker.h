#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "data/batch/batch.h"
#include "data/batch/mixture.h"
#include "data/batch/mlm_masks.h"
#include "data/corpus/corpus.h"

namespace hyperx::data {

// A sentence of a step: place `place` of mini-batch `draw`.
struct SentencePlace {
  int draw = 0;
  int place = 0;
  auto operator<=>(const SentencePlace&) const = default;
};

// How a step's mini-batches are divided among the ranks.
enum class ShareMode {
  kSplit,  // every mini-batch's sentences spread over all ranks; for an exchange by sums of factors
  kWhole,  // each mini-batch whole on one rank; for an exchange that gathers factors
};

// Makes the batches of one pair list and split: [CLS] sub-words [SEP], truncated to max_subwords, labels on first
// sub-words, masks drawn for mlm. Everything is a function of the plan, so ranks need not communicate. Several threads
// may call const functions.
class BatchMaker {
 public:
  // `corpus` must outlive the maker. `seed` determines the masks of evaluation. UserError (78): max_subwords < 3, a
  // split that does not exist.
  BatchMaker(const Corpus& corpus, std::vector<Pair> pairs, std::string split, int max_subwords, uint64_t seed);

  int64_t token_count(int pair, int64_t sentence) const;  // [CLS] and [SEP] included, after truncation

  // [ranks] each rank's sentences, in the order of the step; every sentence once. Tokens are balanced: the longest
  // sentence first, each to the rank with the fewest tokens. A rank may get none.
  std::vector<std::vector<SentencePlace>> share(const StepPlan& plan, int ranks, ShareMode mode) const;
  // [draws] sizes of the whole mini-batches, over all ranks.
  std::vector<DrawSummary> summarize(const StepPlan& plan) const;
  // Cuts a share into consecutive pieces of at most max_tokens tokens (a longer sentence is a piece of its own); 0: one
  // piece. An empty share has no pieces.
  std::vector<std::vector<SentencePlace>> pieces(const StepPlan& plan, const std::vector<SentencePlace>& part,
                                                 int64_t max_tokens) const;
  // The batch of these sentences, which must be in ascending order. `draws` is summarize(plan). A mini-batch with no
  // sentence here has no segment. UserError (65): an array holds an impossible id, label or position: the corpus is
  // damaged.
  Batch make(const StepPlan& plan, const std::vector<SentencePlace>& part, const std::vector<DrawSummary>& draws) const;

  // For evaluation: the split's sentences [0, limit) (0: all) in order, cut into stretches of at most batch_tokens
  // tokens. The evaluation decides which stretches a rank takes: adjacent ones, with about the same number of tokens
  // per rank.
  std::vector<std::vector<int64_t>> evaluation_stretches(int pair, int64_t limit, int64_t batch_tokens) const;
  // One segment; sentence_slots = sentence_ids; label_count counts the batch itself; masks by (seed, pair, sentence).
  Batch make_evaluation(int pair, const std::vector<int64_t>& sentences) const;

  const std::vector<Pair>& pairs() const { return pairs_; }
  const Split& split(int pair) const;                              // maps the pair's file on first use
  void verify(int pair, const std::stop_token& stop = {}) const {  // Corpus::verify_once
    corpus_.verify_once(pairs_[static_cast<size_t>(pair)], split_name_, stop);
  }
  bool masked(int pair) const { return masked_[static_cast<size_t>(pair)]; }

 private:
  int64_t kept_subwords(const Split& split, int64_t sentence) const;
  int64_t label_count(const Split& split, int64_t sentence, uint64_t mask_key, const Task& task) const;
  void append(Batch& batch, int pair, int64_t sentence, int64_t slot, uint64_t mask_key) const;
  void append_labels(Batch& batch, int pair, const Split& split, int64_t sentence, int64_t kept,
                     size_t first_row) const;
  void append_tree(Batch& batch, int pair, const Split& split, int64_t sentence, int64_t kept, size_t first_row) const;
  // UserError (65): the corpus is damaged at this word.
  void check_word(int pair, const Split& split, int64_t sentence, int32_t position, LabelId label,
                  bool has_label) const;
  const Task& task(int pair) const { return *tasks_[static_cast<size_t>(pair)]; }
  [[noreturn]] void damaged(int pair, int64_t sentence, const std::string& what) const;

  const Corpus& corpus_;
  std::vector<Pair> pairs_;
  std::string split_name_;
  int64_t room_;  // sub-words of a sentence, not counting [CLS] and [SEP]
  uint64_t seed_;
  MlmMasks masks_;
  mutable std::vector<std::atomic<const Split*>> splits_;  // [pairs] nullptr: not opened yet; opening takes a lock
  std::vector<bool> masked_;
  std::vector<const Task*> tasks_;  // [pairs] of the corpus
};

}  // namespace hyperx::data
