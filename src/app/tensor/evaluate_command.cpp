#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "app/tensor/model_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "data/result_table.h"
#include "trainer/checkpoint/run_dir.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/comm/watchdog.h"
#include "trainer/evaluation.h"
#include "trainer/model_checkpoint.h"

namespace hyperx {
namespace {

// RUN/checkpoints/step-N lies in RUN; a checkpoint elsewhere has its results beside it.
std::string results_folder(const train::LoadedModel& loaded, const std::string& split) {
  namespace fs = std::filesystem;
  const fs::path checkpoint = fs::weakly_canonical(loaded.checkpoint);
  const fs::path run = checkpoint.parent_path().filename() == "checkpoints" ? checkpoint.parent_path().parent_path()
                                                                            : checkpoint.parent_path();
  return train::RunDir{run.string()}.results(loaded.step, split);
}

// The keys that the command line or a file set for this evaluation, over what the model was trained with.
Config evaluation_config(const CommandLine& line, const train::ModelInfo& info) {
  Config config = line.config;
  config.train.seed = info.config.train.seed;
  if (!line.given("data.max_subwords")) config.data.max_subwords = info.config.data.max_subwords;
  if (config.data.corpus.empty()) config.data.corpus = info.config.data.corpus;
  return config;
}

// The same checkpoint, corpus and settings; and the predictions, where they are asked for, are there.
bool is_scored_already(const std::string& path, const train::LoadedModel& loaded, const data::Corpus& corpus,
                       const Config& config) {
  if (!std::filesystem::exists(path)) return false;
  const data::EvaluationResult result = data::read_result(path);
  const bool seqeval = config.eval.pos_metric == "seqeval";
  if (result.pair.task == "pos" && (result.main_metric == "seqeval_f1") != seqeval) return false;
  const std::string scorer = train::scorer_text(config, result.main_metric, loaded.model->options().compute);
  if (result.signature.find("|" + scorer + "|") == std::string::npos) return false;
  const std::string predictions = path.substr(0, path.size() - 4) + "tsv";  // pos.tr.json, pos.tr.tsv
  if (config.eval.predictions && result.pair.task != "mlm" && !std::filesystem::exists(predictions)) return false;
  return result.checkpoint_xxh128 == loaded.checkpoint_digest && result.corpus_xxh128 == corpus.digest();
}

// A line a word, gold<TAB>predicted, an empty line after each sentence; `_` where there is no prediction.
void write_predictions(const std::string& path, const data::Split& split, const std::vector<std::string>& labels,
                       const train::SplitPredictions& predictions) {
  std::string text;
  size_t word = 0;
  for (int64_t sentence = 0; word < predictions.labels.size(); ++sentence) {
    for (const data::LabelId gold : split.labels_of(sentence)) {
      const data::LabelId guess = predictions.labels[word++];
      text += labels[static_cast<size_t>(gold)] + '\t' + (guess < 0 ? "_" : labels[static_cast<size_t>(guess)]) + '\n';
    }
    text += '\n';
  }
  write_file_atomically(path, text);
}

}  // namespace

int run_evaluate(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress) {
  if (line.objects.size() != 1)
    throw UserError(ExitCode::kUsage, "name one run or checkpoint: hyperx evaluate RUN|CHECKPOINT");
  const at::NoGradGuard no_gradient;
  const at::Device device = comm::choose_device(line.config.device, session);
  choose_kernels(line.config, device, session.rank());
  set_threads(line.config, session);
  const auto communicator = comm::make_communicator(line.config.parallel, device, session);
  comm::WatchdogOptions options;
  options.limits = comm::SectionLimits::of(line.config.parallel);
  comm::Watchdog watchdog(session.info(), progress, options);
  const auto section = watchdog.enter("evaluation", 0);

  train::LoadedModel loaded = train::load_model(line.objects[0], line.config.model.encoder, line.config.train, device);
  const Config config = evaluation_config(line, loaded.info);
  const data::Corpus corpus = data::Corpus::open(config.data.corpus);
  if (corpus.index().tokenizer_digest != loaded.info.tokenizer_digest)
    throw UserError(ExitCode::kBadConfig,
                    config.data.corpus + ": was prepared with another vocabulary than the model was trained with");
  const std::string& split = config.eval.split;
  const auto pairs = train::scorable_pairs(corpus, config.eval.pairs, split, loaded.model->options(), "eval.pairs");
  if (pairs.empty())
    throw UserError(ExitCode::kBadConfig,
                    "no pair of " + config.data.corpus + " has a '" + split + "' split that this model can score");
  const std::string folder = results_folder(loaded, split);

  train::Evaluator evaluator(*loaded.model, corpus, *communicator, config, [&] { watchdog.beat(); });
  std::vector<data::EvaluationResult> results(pairs.size());  // rank 0's
  std::vector<size_t> group;  // scored together, so that every rank has work; written before the next
  const auto score = [&] {
    std::vector<data::Pair> members;
    for (const size_t place : group) members.push_back(pairs[place]);
    const Clock::time_point start = Clock::now();
    std::vector<train::SplitPredictions> predictions;
    auto found = evaluator.evaluate(members, split, &predictions);
    const double seconds = seconds_since(start);
    int64_t sentences = 0;
    for (const data::EvaluationResult& result : found) sentences += result.sentences;
    for (size_t i = 0; i < group.size(); ++i) {
      data::EvaluationResult& result = found[i];
      const data::Pair& pair = members[i];
      const auto& trained = loaded.info.trained_pairs;
      result.trained = std::find(trained.begin(), trained.end(), pair) != trained.end();
      result.checkpoint_xxh128 = loaded.checkpoint_digest;
      result.corpus_xxh128 = corpus.digest();
      log::info("{} {} {} {:.4f} ({} sentences, {:.0f} a second)", pair.name(), split, result.main_metric,
                result.main_value(), result.sentences, static_cast<double>(sentences) / std::max(seconds, 1e-9));
      if (result.unlabelled_words + result.truncated_words > 0)
        log::info("{} {}: {} words without a sub-word and {} beyond data.max_subwords count as wrong", pair.name(),
                  split, result.unlabelled_words, result.truncated_words);
      if (communicator->rank() != 0) continue;
      make_folders(folder);
      if (config.eval.predictions && !predictions[i].labels.empty())
        write_predictions(folder + "/" + pair.file_name() + ".tsv", corpus.split(pair, split), corpus.labels(pair.task),
                          predictions[i]);
      if (config.eval.limit == 0) data::write_result(folder, result);
      results[group[i]] = std::move(result);
    }
    group.clear();
  };
  for (size_t place = 0; place < pairs.size(); ++place) {
    const data::Pair& pair = pairs[place];
    const std::string path = data::result_path(folder, pair);
    const std::string scored = comm::on_rank_zero(*communicator, [&] {
      const bool keep = !line.has_flag("force") && config.eval.limit == 0;
      return std::string(keep && is_scored_already(path, loaded, corpus, config) ? "yes" : "");
    });
    if (scored.empty()) {
      group.push_back(place);
    } else {
      log::info("{} {} is scored already: {}", pair.name(), split, path);
      if (communicator->rank() == 0) results[place] = data::read_result(path);
    }
    if (group.size() == static_cast<size_t>(communicator->size())) score();
  }
  if (!group.empty()) score();
  if (communicator->rank() == 0) std::fputs(data::results_table(results).c_str(), stdout);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace hyperx
