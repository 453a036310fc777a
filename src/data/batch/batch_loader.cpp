#include "data/batch/batch_loader.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "common/errors.h"

namespace hyperx::data {

StepBatch make_step(const BatchMaker& maker, const StepPlan& plan, const StepShare& share) {
  StepBatch result;
  result.step = plan.step;
  result.draws = maker.summarize(plan);
  const auto shares = maker.share(plan, share.ranks, share.mode);
  if (share.mode == ShareMode::kWhole) {
    result.owners.assign(plan.draws.size(), 0);
    for (size_t rank = 0; rank < shares.size(); ++rank)
      for (const SentencePlace& place : shares[rank])
        result.owners[static_cast<size_t>(place.draw)] = static_cast<int>(rank);
  }
  const auto& part = shares[static_cast<size_t>(share.rank)];
  for (const auto& piece : maker.pieces(plan, part, share.micro_batch_tokens))
    result.pieces.push_back(maker.make(plan, piece, result.draws));
  return result;
}

std::vector<StepPlan> largest_steps(const BatchMaker& maker, int64_t draws, int64_t batch_sentences) {
  std::map<std::string, std::pair<int64_t, Draw>> largest;  // tokens and draw, by task
  for (int pair = 0; pair < static_cast<int>(maker.pairs().size()); ++pair) {
    std::vector<std::pair<int64_t, int64_t>> longest;  // tokens, sentence
    const int64_t sentences = maker.split(pair).sentences();
    for (int64_t s = 0; s < sentences; ++s) longest.emplace_back(maker.token_count(pair, s), s);
    const auto kept = longest.begin() + std::min(batch_sentences, sentences);
    std::partial_sort(longest.begin(), kept, longest.end(), std::greater<>());
    Draw draw;
    draw.pair = pair;
    int64_t tokens = 0;
    for (auto it = longest.begin(); it != kept; ++it) {
      tokens += it->first;
      draw.sentences.push_back(it->second);
    }
    std::pair<int64_t, Draw>& most = largest[maker.pairs()[static_cast<size_t>(pair)].task];
    if (tokens > most.first) most = {tokens, std::move(draw)};
  }
  std::vector<StepPlan> plans;
  for (const auto& [task, most] : largest)
    plans.push_back({0, std::vector<Draw>(static_cast<size_t>(draws), most.second)});
  return plans;
}

BatchLoader::BatchLoader(const BatchMaker& maker, const Mixture& mixture, const Options& options)
    : maker_(maker),
      mixture_(mixture),
      options_(options),
      last_step_(mixture.total_steps()),
      asked_(mixture.pairs().size(), !options.verify) {
  HYPERX_CHECK(options_.share.rank >= 0 && options_.share.rank < options_.share.ranks && options_.ahead > 0,
               "impossible loader options");
  thread_ = std::thread([this] { work(); });
  verifier_ = std::jthread([this](const std::stop_token& stop) { verify(stop); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  verifier_.request_stop();
  changed_.notify_all();
  thread_.join();
}

void BatchLoader::verify(const std::stop_token& stop) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || !unverified_.empty(); });
    if (stop_) return;
    const int pair = unverified_.front();
    lock.unlock();
    std::exception_ptr damage;
    try {
      maker_.verify(pair, stop);
    } catch (...) {
      damage = std::current_exception();
    }
    lock.lock();
    unverified_.pop_front();
    if (damage && !damage_) damage_ = damage;
    changed_.notify_all();
  }
}

StepBatch BatchLoader::make(int64_t step) {
  const StepPlan plan = mixture_.plan(step);
  for (const Draw& draw : plan.draws) {
    if (asked_[static_cast<size_t>(draw.pair)]) continue;
    asked_[static_cast<size_t>(draw.pair)] = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    unverified_.push_back(draw.pair);
    changed_.notify_all();
  }
  return make_step(maker_, plan, options_.share);
}

void BatchLoader::work() {
  for (int64_t step = options_.first_step; step < last_step_; ++step) {
    StepBatch made;
    try {
      made = make(step);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
      return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || ready_.size() < options_.ahead; });
    if (stop_) return;
    ready_.push_back(std::move(made));
    changed_.notify_all();
  }
}

StepBatch BatchLoader::next(int64_t step) {
  HYPERX_CHECK(step < last_step_, "a step after the last");
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] {
    const bool last = step + 1 == last_step_;
    return damage_ || error_ || (!ready_.empty() && (!last || unverified_.empty()));
  });
  if (damage_) std::rethrow_exception(damage_);
  if (ready_.empty()) std::rethrow_exception(error_);
  StepBatch batch = std::move(ready_.front());
  ready_.pop_front();
  lock.unlock();
  changed_.notify_all();
  HYPERX_CHECK(batch.step == step, "steps are asked for in order");
  return batch;
}

void BatchLoader::require_verified(const std::function<void()>& beat) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::seconds(1), [&] { return damage_ || unverified_.empty(); })) beat();
  if (damage_) std::rethrow_exception(damage_);
}

}  // namespace hyperx::data
