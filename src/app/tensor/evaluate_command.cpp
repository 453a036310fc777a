#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>

#include "app/tensor/model_setup.h"
#include "app/tensor/rank_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "data/corpus/majority_baseline.h"
#include "data/tasks/result_table.h"
#include "data/tokenizer/tokenizer.h"
#include "model/encoder/encoder_spec.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/comm/watchdog.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/run/run_dir.h"

namespace hyperx {
namespace {

// RUN/checkpoints/step-N has its results in RUN, a checkpoint elsewhere next to itself.
std::string results_folder(const train::LoadedModel& loaded, const std::string& split) {
  return train::RunDir{train::run_of_checkpoint(loaded.checkpoint)}.results(loaded.step, split);
}

// The model's training configuration, with the keys that the command line or a file sets for this evaluation.
Config evaluation_config(const CommandLine& line, const train::ModelInfo& info) {
  Config config = line.config;
  config.train.seed = info.config.train.seed;
  config.model.encoder = info.encoder_source;
  if (!line.given("data.max_subwords")) config.data.max_subwords = info.config.data.max_subwords;
  if (config.data.corpus.empty()) {
    config.data.corpus = info.config.data.corpus;
    if (!std::filesystem::exists(config.data.corpus))
      throw UserError(ExitCode::kNoInput, fmt::format("{}: the corpus that the model was trained on is not there (any "
                                                      "more): name its folder with --data.corpus",
                                                      config.data.corpus));
  }
  return config;
}

// Files in the results folder are about whole splits.
void require_whole_splits_for_predictions(const EvalConfig& config) {
  if (config.limit == 0 || !config.predictions) return;
  throw UserError(ExitCode::kBadConfig,
                  fmt::format("eval.predictions = yes with eval.limit = {}: files are written for whole splits only. "
                              "Set eval.limit to 0 to write them, or eval.predictions to no to see a part's scores",
                              config.limit));
}

// Corpus and encoder folder must have the vocabulary that the model was trained with.
void check_vocabulary(const data::Corpus& corpus, const Config& config, const train::ModelInfo& info) {
  if (corpus.index().tokenizer_digest != info.tokenizer_digest)
    throw UserError(ExitCode::kBadConfig,
                    config.data.corpus + ": was prepared with another vocabulary than the model was trained with");
  if (corpus.index().label_position != info.label_position)
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("{}: was prepared with data.label_position = {}, but the model was "
                                "trained with {}: prepare it again",
                                config.data.corpus, corpus.index().label_position, info.label_position));
  const std::string folder = model::encoder_folder(config.model.encoder);
  const auto tokenizer = data::Tokenizer::load(folder);
  if (tokenizer->digest() != info.tokenizer_digest)
    throw UserError(ExitCode::kBadData, folder +
                                            ": its vocabulary is not the one the model was trained with. Name the "
                                            "right folder with --model.encoder");
  check_tokenizer(corpus, config, model::read_encoder_spec(folder, info.config.model.encoder_layers), *tokenizer);
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

// One line per word, gold<TAB>predicted, an empty line after each sentence; `_` where there is no prediction. Of a
// tree, gold and predicted are two columns each: head and relation.
std::string predictions_text(const data::Split& split, const data::Task& task,
                             const train::SplitPredictions& predictions) {
  std::string text;
  size_t word = 0;
  for (int64_t sentence = 0; word < predictions.labels.size(); ++sentence) {
    for (const data::LabelId gold : split.labels_of(sentence)) {
      const data::LabelId guess = predictions.labels[word++];
      text += task.tag_of(gold) + '\t' +
              (guess >= 0       ? task.tag_of(guess)
               : task.is_tree() ? task.no_prediction()
                                : "_") +
              '\n';
    }
    text += '\n';
  }
  return text;
}

void log_result(const data::EvaluationResult& result, double sentences_per_second) {
  const std::string name = result.pair.name();
  log::info("{} {} {} {:.4f} ({} sentences, {:.0f} a second)", name, result.split, result.main_metric,
            result.main_value(), result.sentences, sentences_per_second);
  if (result.unlabelled_words + result.truncated_words > 0)
    log::info("{} {}: {} words without a sub-word and {} beyond data.max_subwords count as wrong", name, result.split,
              result.unlabelled_words, result.truncated_words);
}

// Scores the pairs of one split and writes one result file per pair. All its member functions are collective.
class SplitScorer {
 public:
  SplitScorer(const train::LoadedModel& loaded, const data::Corpus& corpus, const Config& config,
              comm::Communicator& communicator, std::function<void()> on_progress)
      : loaded_(loaded),
        corpus_(corpus),
        config_(config),
        communicator_(communicator),
        folder_(results_folder(loaded, config.eval.split)),
        evaluator_(*loaded.model, corpus, communicator, config, std::move(on_progress)) {
    if (communicator.rank() == 0) remove_dead_temporaries(folder_);
  }

  // Results of `pairs`, on rank 0; existing results are read instead of computed, unless `again`.
  std::vector<data::EvaluationResult> score(const std::vector<data::Pair>& pairs, bool again) {
    if (config_.eval.limit > 0)
      log::info("eval.limit = {}: no file is written to {}, which holds results of whole splits", config_.eval.limit,
                folder_);
    std::vector<data::EvaluationResult> results(pairs.size());
    std::vector<size_t> group;  // scored together, so that every rank has work; written before the next group
    for (size_t place = 0; place < pairs.size(); ++place) {
      const std::string path = data::result_path(folder_, pairs[place]);
      const std::string scored = comm::on_rank_zero(communicator_, [&] {
        const bool keep = !again && config_.eval.limit == 0;
        return std::string(keep && is_scored_already(pairs[place]) ? "yes" : "");
      });
      if (scored.empty()) {
        group.push_back(place);
      } else {
        log::info("{} {} is scored already: {}", pairs[place].name(), config_.eval.split, path);
        if (communicator_.rank() == 0) results[place] = data::read_result(path);
      }
      if (group.size() == static_cast<size_t>(communicator_.size())) score_group(pairs, group, results);
    }
    if (!group.empty()) score_group(pairs, group, results);
    return results;
  }

 private:
  // Scored with the same checkpoint, corpus and settings; and the predictions exist, if they are requested.
  bool is_scored_already(const data::Pair& pair) const {
    const std::string path = data::result_path(folder_, pair);
    if (kind_of(path) == PathKind::kNothing) return false;
    data::EvaluationResult result;
    try {
      result = data::read_result(path);
      if (result.pair != pair || result.split != config_.eval.split)
        throw UserError(ExitCode::kBadData, path + ": holds the result of " + result.pair.name() + " " + result.split);
    } catch (const ReadError&) {
      throw;
    } catch (const UserError& error) {
      log::warning("{}: it is replaced", error.what());
      return false;
    }
    const data::Task& task = evaluator_.tasks().at(pair.task);
    if (result.main_metric != task.main_metric()) return false;
    const std::string scorer = train::scorer_text(config_, result.main_metric, *loaded_.model, pair);
    if (result.signature.find("|" + scorer + "|") == std::string::npos) return false;
    const bool needs_predictions = config_.eval.predictions && !task.masked();
    if (needs_predictions && !std::filesystem::exists(data::predictions_path(folder_, pair))) return false;
    return result.checkpoint_xxh128 == loaded_.checkpoint_digest && result.corpus_xxh128 == corpus_.digest();
  }

  // `group` holds indices into `pairs`, and is emptied.
  void score_group(const std::vector<data::Pair>& pairs, std::vector<size_t>& group,
                   std::vector<data::EvaluationResult>& results) {
    std::vector<data::Pair> members;
    for (const size_t place : group) members.push_back(pairs[place]);
    const Clock::time_point start = Clock::now();
    std::vector<train::SplitPredictions> predictions;
    auto found = evaluator_.evaluate(members, config_.eval.split, &predictions);
    const double seconds = std::max(seconds_since(start), 1e-9);
    int64_t sentences = 0;
    for (const data::EvaluationResult& result : found) sentences += result.sentences;
    for (size_t i = 0; i < group.size(); ++i) {
      const auto& trained = loaded_.info.trained_pairs;
      found[i].trained = std::find(trained.begin(), trained.end(), members[i]) != trained.end();
      found[i].baseline = data::majority_baseline(corpus_, members[i], config_.eval.split, found[i].sentences, trained);
      found[i].checkpoint_xxh128 = loaded_.checkpoint_digest;
      found[i].corpus_xxh128 = corpus_.digest();
      log_result(found[i], static_cast<double>(sentences) / seconds);
      if (communicator_.rank() != 0) continue;
      if (config_.eval.limit == 0) write(found[i], predictions[i]);
      results[group[i]] = std::move(found[i]);
    }
    group.clear();
  }

  void write(const data::EvaluationResult& result, const train::SplitPredictions& predictions) const {
    make_folders(folder_);
    const bool with_predictions = config_.eval.predictions && !predictions.labels.empty();
    data::write_result(folder_, result,
                       with_predictions ? predictions_text(corpus_.split(result.pair, result.split),
                                                           corpus_.tasks().at(result.pair.task), predictions)
                                        : "");
  }

  const train::LoadedModel& loaded_;
  const data::Corpus& corpus_;
  const Config& config_;
  comm::Communicator& communicator_;
  const std::string folder_;
  train::Evaluator evaluator_;
};

}  // namespace

int run_evaluate(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress) {
  if (line.objects.size() != 1)
    throw UserError(ExitCode::kUsage, "name one run or checkpoint: hyperx evaluate RUN|CHECKPOINT");
  require_whole_splits_for_predictions(line.config.eval);
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
  const std::string precision = train::agreed_precision(line.config.train.precision, "", device, *communicator);
  const train::LoadedModel loaded =
      train::load_model(open_on_all(line.objects[0], *communicator), line.config.model.encoder, options_of_line(line),
                        train::compute_type(precision), device);
  const Config config = evaluation_config(line, loaded.info);
  const data::Corpus corpus = open_corpus(config.data.corpus, *communicator);
  comm::on_rank_zero(*communicator, [&] {
    check_vocabulary(corpus, config, loaded.info);
    return std::string();
  });
  const std::string& split = config.eval.split;
  const auto pairs = train::scorable_pairs(corpus, config.eval.pairs, split, loaded.model->options(), "eval.pairs");
  if (pairs.empty())
    throw UserError(ExitCode::kBadConfig,
                    "no pair of " + config.data.corpus + " has a '" + split + "' split that this model can score");

  SplitScorer scorer(loaded, corpus, config, *communicator, [&] { watchdog.beat(); });
  const auto results = scorer.score(pairs, line.has_flag("force"));
  const std::string table =
      data::results_table(results, model::languages_read_by(model::encoder_folder(loaded.info.encoder_source)));
  if (communicator->rank() == 0) std::fputs(table.c_str(), stdout);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace hyperx
