#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "app/tensor/checkpoint_scorer.h"
#include "app/tensor/model_setup.h"
#include "app/tensor/rank_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "data/tasks/result_table.h"
#include "model/comm/local_communicator.h"
#include "model/encoder/encoder_spec.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/comm/watchdog.h"
#include "trainer/evaluation/watched_runs.h"

namespace hyperx {
namespace {

// Files in the results folder are about whole splits.
void require_whole_splits(const CommandLine& line) {
  const EvalConfig& config = line.config.eval;
  if (config.limit == 0) return;
  if (config.predictions)
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("eval.predictions = yes with eval.limit = {}: files are written for whole splits only. "
                                "Set eval.limit to 0 to write them, or eval.predictions to no to see a part's scores",
                                config.limit));
  if (line.has_flag("watch"))
    throw UserError(ExitCode::kBadConfig, fmt::format("--watch with eval.limit = {}: results are written for whole "
                                                      "splits only. Set eval.limit to 0",
                                                      config.limit));
}

// All ranks open the same checkpoint; they look again if a training deleted it for one of them in between.
train::Checkpoint open_on_all(const std::string& run_or_checkpoint, comm::Communicator& communicator) {
  for (;;) {
    const std::string folder =
        comm::on_rank_zero(communicator, [&] { return train::resolve_checkpoint(run_or_checkpoint); });
    std::optional<train::Checkpoint> opened;
    std::exception_ptr failure;
    bool gone = false;
    try {
      opened.emplace(train::Checkpoint::open(folder));
    } catch (const UserError&) {
      failure = std::current_exception();
      gone = kind_of(folder) == PathKind::kNothing;
    }
    if (communicator.all_reduce_max({gone ? 1 : 0})[0] != 0) continue;
    if (failure) std::rethrow_exception(failure);
    return std::move(*opened);
  }
}

// Calls `work` for each run of scores of the same checkpoint and split.
void for_each_group(const std::vector<train::Score>& scores, size_t most,
                    const std::function<void(const train::Score& first, const std::vector<data::Pair>& pairs)>& work) {
  for (size_t start = 0; start < scores.size();) {
    std::vector<data::Pair> pairs;
    size_t end = start;
    for (; end < scores.size() && pairs.size() < most && scores[end].checkpoint == scores[start].checkpoint &&
           scores[end].split == scores[start].split;
         ++end)
      pairs.push_back(scores[end].pair);
    work(scores[start], pairs);
    start = end;
  }
}

// Scores one checkpoint, and prints the table.
int evaluate_one(ScoringSetup& setup, comm::Communicator& ranks) {
  const Config& config = setup.line.config;
  const train::Checkpoint checkpoint = open_on_all(setup.line.objects[0], ranks);
  const train::RunDir run{train::run_of_checkpoint(checkpoint.folder())};
  const auto folder_of = [&](const std::string& split) { return run.results(checkpoint.step(), split); };
  std::vector<train::Score> present;
  const std::string text = comm::on_rank_zero(ranks, [&] {
    CheckpointScores scores = scores_of(checkpoint, setup);
    present = std::move(scores.present);
    for (const train::Score& score : present)
      log::info("{} {} is scored already: {}", score.pair.name(), score.split,
                data::result_path(folder_of(score.split), score.pair));
    if (config.eval.limit > 0)
      log::info("eval.limit = {}: no file is written to {}, which holds results of whole splits", config.eval.limit,
                folder_of(config.eval.split));
    return train::scores_to_text(scores.missing);
  });
  const std::vector<train::Score> missing = train::scores_from_text(text);
  train::ScorePlan plan = train::share_out(missing, ranks.size());
  if (config.eval.limit > 0) plan = {missing, std::vector<std::vector<train::Score>>(plan.whole.size())};  // no files
  CheckpointScorer scorer(checkpoint, setup);
  std::vector<data::EvaluationResult> results;
  for_each_group(plan.shared, static_cast<size_t>(ranks.size()), [&](const auto& first, const auto& pairs) {
    for (data::EvaluationResult& result : scorer.score(first.split, pairs, ranks)) results.push_back(std::move(result));
  });
  comm::LocalCommunicator alone;
  for_each_group(plan.whole[static_cast<size_t>(ranks.rank())], 1,
                 [&](const auto& first, const auto& pairs) { scorer.score(first.split, pairs, alone); });
  ranks.barrier();
  if (ranks.rank() != 0) return static_cast<int>(ExitCode::kDone);
  if (config.eval.limit == 0) {
    results.clear();
    present.insert(present.end(), missing.begin(), missing.end());
    for (const train::Score& score : present)
      results.push_back(data::read_result(data::result_path(folder_of(score.split), score.pair)));
  }
  const auto read = model::languages_read_by(model::encoder_folder(scorer.loaded().info.encoder_source));
  for (const std::string& split : setup.splits()) {
    std::vector<data::EvaluationResult> of_split;
    std::copy_if(results.begin(), results.end(), std::back_inserter(of_split),
                 [&](const auto& result) { return result.split == split; });
    if (!of_split.empty()) std::fputs(data::results_table(of_split, read).c_str(), stdout);
  }
  return static_cast<int>(ExitCode::kDone);
}

// Follows runs, and scores their checkpoints as they appear.
class Watch {
 public:
  Watch(ScoringSetup& setup, comm::Communicator& ranks, comm::Watchdog& watchdog, const comm::StopRequest& stop)
      : setup_(setup), ranks_(ranks), watchdog_(watchdog), stop_(stop) {}

  int run() {
    const double patience = setup_.line.number_flag("patience", 600);
    const double look_every = setup_.line.number_flag("look-every", 5);
    comm::on_rank_zero(ranks_, [&] {
      runs_ = std::make_unique<train::WatchedRuns>(setup_.line.objects[0],
                                                   train::WatchedRuns::Options{.patience_seconds = patience});
      return std::string();
    });
    for (;;) {
      // Before looking, so that a checkpoint that was saved before the end is seen.
      bool over = false;
      const Clock::time_point start = Clock::now();
      const std::string text = comm::on_rank_zero(ranks_, [&] {
        over = runs_->over();
        return train::scores_to_text(missing_scores());
      });
      const double pause = std::max(look_every, kPausePerLook * seconds_since(start));
      const std::vector<train::Score> missing = train::scores_from_text(text);
      if (!missing.empty()) score(train::share_out(missing, ranks_.size()));
      const auto agreed = ranks_.all_reduce_max(
          {stop_.signal(), ranks_.rank() == 0 && over && queue_.empty() ? 1 : 0, static_cast<int64_t>(1e3 * pause)});
      watchdog_.beat();
      if (agreed[0] != 0 || (agreed[1] != 0 && missing.empty())) return end(static_cast<int>(agreed[0]));
      if (missing.empty()) rest(std::chrono::milliseconds(agreed[2]));  // all ranks, so that none waits in a busy loop
    }
  }

 private:
  static constexpr size_t kAtOnce = 16;        // checkpoints that are open at the same time
  static constexpr double kPausePerLook = 20;  // thousands of runs on a slow file system: 5 % of the time at most

  void rest(std::chrono::milliseconds pause) const {
    const Clock::time_point end = Clock::now() + pause;
    while (stop_.signal() == 0 && Clock::now() < end)
      std::this_thread::sleep_for(std::min<Clock::duration>(end - Clock::now(), std::chrono::milliseconds(200)));
  }

  // On rank 0: of the next new checkpoints.
  std::vector<train::Score> missing_scores() {
    for (std::string& folder : runs_->new_checkpoints()) queue_.push_back(std::move(folder));
    std::vector<train::Score> missing;
    const size_t count = std::min(kAtOnce, queue_.size());
    for (size_t i = 0; i < count; ++i) {
      if (const auto checkpoint = open(queue_[i])) {
        CheckpointScores scores = scores_of(*checkpoint, setup_);
        already_ += std::ssize(scores.present);
        missing.insert(missing.end(), scores.missing.begin(), scores.missing.end());
      }
      watchdog_.beat();
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    return missing;
  }

  // None: it was pruned meanwhile, or is damaged; both are counted.
  std::optional<train::Checkpoint> open(const std::string& folder) {
    try {
      return train::Checkpoint::open(folder);
    } catch (const UserError& error) {
      if (kind_of(folder) == PathKind::kNothing) {
        pruned_.insert(folder);
      } else {
        unreadable_.insert(folder);
        log::warning("{}; it is not scored", error.what());
      }
      return std::nullopt;
    }
  }

  void score(const train::ScorePlan& plan) {
    for_each_group(plan.shared, static_cast<size_t>(ranks_.size()), [&](const auto& first, const auto& pairs) {
      auto checkpoint = open(first.checkpoint);
      if (ranks_.all_reduce_max({checkpoint ? 0 : 1})[0] != 0) return;
      CheckpointScorer(*checkpoint, setup_).score(first.split, pairs, ranks_);
      written_ += ranks_.rank() == 0 ? std::ssize(pairs) : 0;
    });
    // Opened before any is scored: what is open stays readable when the training deletes it.
    const std::vector<train::Score>& own = plan.whole[static_cast<size_t>(ranks_.rank())];
    std::map<std::string, std::optional<train::Checkpoint>> opened;
    for (const train::Score& score : own)
      if (!opened.contains(score.checkpoint)) opened.emplace(score.checkpoint, open(score.checkpoint));
    comm::LocalCommunicator alone;
    std::string in_memory;
    std::optional<CheckpointScorer> scorer;
    for_each_group(own, 1, [&](const auto& first, const auto& pairs) {
      const auto& checkpoint = opened.at(first.checkpoint);
      if (!checkpoint) return;
      if (in_memory != first.checkpoint) scorer.reset(), scorer.emplace(*checkpoint, setup_);
      in_memory = first.checkpoint;
      scorer->score(first.split, pairs, alone);
      written_ += 1;
    });
  }

  int end(int signal) {
    const auto all = ranks_.all_reduce_sum({written_, std::ssize(pruned_), std::ssize(unreadable_)});
    comm::on_rank_zero(ranks_, [&] {
      const train::WatchedRuns::Counts counts = runs_->counts();
      log::info(
          "{} runs, {} checkpoints: {} results written, {} were there; {} checkpoints were pruned before they "
          "could be scored, {} are unreadable",
          counts.runs, counts.checkpoints, all[0], already_, all[1] + counts.pruned, all[2]);
      if (counts.silent > 0)
        log::warning("{} of {} runs ended without being finished; `hyperx status {}` shows which", counts.silent,
                     counts.runs, setup_.line.objects[0]);
      return std::string();
    });
    if (signal != 0) {
      log::info("stopped by {}: run the same line again to continue", comm::StopRequest::name(signal));
      return static_cast<int>(ExitCode::kSavedRunAgain);
    }
    return static_cast<int>(all[2] > 0 ? ExitCode::kBadData : ExitCode::kDone);
  }

  ScoringSetup& setup_;
  comm::Communicator& ranks_;
  comm::Watchdog& watchdog_;
  const comm::StopRequest& stop_;
  std::unique_ptr<train::WatchedRuns> runs_;  // rank 0
  std::vector<std::string> queue_;            // rank 0: checkpoints to be looked at
  std::set<std::string> pruned_, unreadable_;
  int64_t written_ = 0, already_ = 0;
};

}  // namespace

int run_evaluate(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress,
                 const comm::StopRequest* stop) {
  if (line.objects.size() != 1)
    throw UserError(ExitCode::kUsage,
                    "name one run or checkpoint: hyperx evaluate RUN|CHECKPOINT, or evaluate RUN|FOLDER --watch");
  require_whole_splits(line);
  const at::NoGradGuard no_gradient;
  const at::Device device = comm::choose_device(line.config.device, session);
  choose_kernels(line.config, device, session.rank());
  set_threads(line.config, session);
  const auto communicator = comm::make_communicator(line.config.parallel, device, session);
  comm::WatchdogOptions options;
  options.limits = comm::SectionLimits::of(line.config.parallel);
  comm::Watchdog watchdog(session.info(), progress, options);  // its thread ends before the communicator
  watchdog.watch(communicator.get());
  const auto section = watchdog.enter("evaluation", 0);
  train::set_determinism(line.config.train, device);
  ScoringSetup setup{line, device, train::agreed_precision(line.config.train.precision, "", device, *communicator),
                     line.has_flag("force"), [&] { watchdog.beat(); }};
  return stop != nullptr ? Watch(setup, *communicator, watchdog, *stop).run() : evaluate_one(setup, *communicator);
}

}  // namespace hyperx
