#include "data/batch/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/errors.h"
#include "common/random.h"

namespace hyperx::data {

Mixture::Mixture(std::vector<MixturePair> pairs, const TrainConfig& config)
    : pairs_(std::move(pairs)),
      seed_(config.seed),
      batch_sentences_(config.batch_sentences),
      pairs_per_step_(config.pairs_per_step),
      whole_epochs_(config.sampling == "epoch"),
      draw_key_(derive_key(config.seed, "mixture.draw")),
      cursors_(pairs_.size(), 0) {
  HYPERX_CHECK(batch_sentences_ > 0 && pairs_per_step_ > 0, "the configuration was not checked");
  if (pairs_.empty()) throw UserError(ExitCode::kBadConfig, "train.pairs names no pair to train on");
  for (const MixturePair& item : pairs_) {
    if (item.sentences <= 0) {
      throw UserError(ExitCode::kBadConfig,
                      "train.pairs: " + item.pair.name() +
                          " has no training sentences in this corpus; leave it out, for example by "
                          "adding !" +
                          item.pair.name());
    }
    batch_counts_.push_back((item.sentences + batch_sentences_ - 1) / batch_sentences_);
  }
  total_batches_ = std::accumulate(batch_counts_.begin(), batch_counts_.end(), int64_t{0});
  temperature_ = config.temperature;
  probabilities_ = draw_probabilities(batch_counts_, config.temperature);
  cumulative_.resize(probabilities_.size());
  std::partial_sum(probabilities_.begin(), probabilities_.end(), cumulative_.begin());
  total_steps_ = config.steps;
  if (config.epochs > 0) {
    const double draws = config.epochs * static_cast<double>(total_batches_);
    total_steps_ = static_cast<int64_t>(std::ceil(draws / static_cast<double>(pairs_per_step_)));
  }
}

int Mixture::pair_of_draw(int64_t draw) {
  if (whole_epochs_) {
    const int64_t epoch = draw / total_batches_;
    if (layout_epoch_ != epoch) {
      const uint64_t key = derive_key(seed_, "mixture.epoch", static_cast<uint64_t>(epoch));
      layout_ = EpochLayout(batch_counts_, temperature_, key);
      layout_epoch_ = epoch;
    }
    return layout_.pair_at(draw % total_batches_);
  }
  const auto number = static_cast<uint64_t>(draw);
  const PhiloxCounter words =
      philox({static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32), 0, 0}, philox_key(draw_key_));
  const uint64_t bits = (static_cast<uint64_t>(words[0]) << 32) | words[1];
  const double place = static_cast<double>(bits >> 11) * 0x1.0p-53 * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), place);
  return static_cast<int>(std::min<ptrdiff_t>(found - cumulative_.begin(), std::ssize(cumulative_) - 1));
}

// In epoch sampling a pair starts each epoch with the first mini-batch of a new order.
void Mixture::enter_draw(int64_t draw) {
  if (whole_epochs_ && draw % total_batches_ == 0) std::fill(cursors_.begin(), cursors_.end(), 0);
}

void Mixture::seek(int64_t step) {
  HYPERX_CHECK(step >= 0, "a step before the first");
  const int64_t draw = step * pairs_per_step_;
  // Epochs are independent of each other, so the replay may start at the last epoch boundary before the draw.
  const int64_t start = whole_epochs_ ? draw / total_batches_ * total_batches_ : 0;
  if (draw < next_draw_ || next_draw_ < start) {
    std::fill(cursors_.begin(), cursors_.end(), 0);
    next_draw_ = start;
  }
  for (; next_draw_ < draw; ++next_draw_) {
    enter_draw(next_draw_);
    ++cursors_[static_cast<size_t>(pair_of_draw(next_draw_))];
  }
  enter_draw(next_draw_);
}

std::vector<int64_t> Mixture::cursors(int64_t step) {
  seek(step);
  return cursors_;
}

Draw Mixture::take(int64_t number) {
  enter_draw(number);
  const int pair = pair_of_draw(number);
  const auto j = static_cast<size_t>(pair);
  const int64_t cursor = cursors_[j]++;
  const int64_t epoch = number / total_batches_;
  Draw draw;
  draw.pair = pair;
  draw.batch = cursor % batch_counts_[j];
  draw.pass = whole_epochs_ ? epoch : cursor / batch_counts_[j];
  const std::string name = pairs_[j].pair.name();
  // In epoch sampling a mini-batch that is repeated within the epoch keeps its masks, as in the original.
  draw.mask_key = whole_epochs_ ? derive_key(derive_key(seed_, "mask:" + name, static_cast<uint64_t>(epoch)), "batch",
                                             static_cast<uint64_t>(draw.batch))
                                : derive_key(seed_, "mask", static_cast<uint64_t>(number));
  draw.sentences = sentences_of(pair, draw.pass, draw.batch);
  return draw;
}

std::vector<int64_t> Mixture::sentences_of(int pair, int64_t pass, int64_t batch) const {
  const MixturePair& from = pairs_[static_cast<size_t>(pair)];
  const KeyedPermutation order(static_cast<uint64_t>(from.sentences),
                               derive_key(seed_, "order:" + from.pair.name(), static_cast<uint64_t>(pass)));
  const int64_t begin = batch * batch_sentences_, end = std::min(begin + batch_sentences_, from.sentences);
  std::vector<int64_t> sentences;
  for (int64_t place = begin; place < end; ++place)
    sentences.push_back(static_cast<int64_t>(order(static_cast<uint64_t>(place))));
  return sentences;
}

StepPlan Mixture::plan(int64_t step) {
  seek(step);
  StepPlan plan;
  plan.step = step;
  for (int64_t k = 0; k < pairs_per_step_; ++k) plan.draws.push_back(take(next_draw_++));
  return plan;
}

}  // namespace hyperx::data
