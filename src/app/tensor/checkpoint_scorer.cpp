#include "app/tensor/checkpoint_scorer.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "app/tensor/model_setup.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "data/corpus/majority_baseline.h"
#include "data/tokenizer/tokenizer.h"
#include "model/encoder/encoder_spec.h"
#include "model/methods/method_spec.h"
#include "trainer/run/run_dir.h"

namespace hyperx {
namespace {

// RUN/checkpoints/step-N has its results in RUN, a checkpoint elsewhere next to itself.
std::string results_folder(const std::string& checkpoint, int64_t step, const std::string& split) {
  return train::RunDir{train::run_of_checkpoint(checkpoint)}.results(step, split);
}

// The model's training configuration, with the keys that the command line or a file sets for this evaluation.
Config evaluation_config(const CommandLine& line, const train::ModelInfo& info, const std::string& checkpoint) {
  Config config = line.config;
  config.train.seed = info.config.train.seed;
  config.model.encoder = train::encoder_of(info, line.config.model.encoder, checkpoint);
  if (!line.given("data.max_subwords")) config.data.max_subwords = info.config.data.max_subwords;
  if (config.data.corpus.empty()) {
    config.data.corpus = info.config.data.corpus;
    if (kind_of(config.data.corpus) == PathKind::kNothing)
      throw UserError(ExitCode::kNoInput, fmt::format("{}: the corpus that the model was trained on is not there (any "
                                                      "more): name its folder with --data.corpus",
                                                      config.data.corpus));
  }
  return config;
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

// What must be equal for a result to count as that of a score.
struct Wanted {
  std::string path, main_metric, scorer, checkpoint_digest, corpus_digest;
  bool predictions = false;
};

bool is_there(const Wanted& wanted, const train::Score& score) {
  if (kind_of(wanted.path) == PathKind::kNothing) return false;
  data::EvaluationResult result;
  try {
    result = data::read_result(wanted.path);
    if (result.pair != score.pair || result.split != score.split)
      throw UserError(ExitCode::kBadData,
                      wanted.path + ": holds the result of " + result.pair.name() + " " + result.split);
  } catch (const ReadError&) {
    throw;
  } catch (const UserError& error) {
    log::warning("{}: it is replaced", error.what());
    return false;
  }
  if (result.main_metric != wanted.main_metric) return false;
  if (result.signature.find("|" + wanted.scorer + "|") == std::string::npos) return false;
  const std::string folder = std::filesystem::path(wanted.path).parent_path().string();
  if (wanted.predictions && kind_of(data::predictions_path(folder, score.pair)) == PathKind::kNothing) return false;
  return result.checkpoint_xxh128 == wanted.checkpoint_digest && result.corpus_xxh128 == wanted.corpus_digest;
}

}  // namespace

const data::Corpus& ScoringSetup::corpus(const std::string& folder) {
  const auto found = corpora.find(folder);
  return found != corpora.end() ? found->second : corpora.emplace(folder, data::Corpus::open(folder)).first->second;
}

std::vector<std::string> ScoringSetup::splits() const {
  const std::string& split = line.config.eval.split;
  return split == "both" ? std::vector<std::string>{"dev", "test"} : std::vector<std::string>{split};
}

CheckpointScores scores_of(const train::Checkpoint& checkpoint, ScoringSetup& setup) {
  const CommandLine& line = setup.line;
  train::ModelInfo info = train::ModelInfo::from_json(checkpoint.model_info(), checkpoint.folder());
  const at::ScalarType compute = train::compute_type(setup.precision);
  // What such a model knows, and how its scores are named, follows from the other runs.
  std::optional<train::LoadedModel> loaded;
  if (model::find_method_spec(info.config.model.method).needs != nullptr) {
    loaded = train::load_model(checkpoint, line.config.model.encoder, options_of_line(line), compute, setup.device);
    info = loaded->info;
  }
  const Config config = evaluation_config(line, info, checkpoint.folder());
  const data::Corpus& corpus = setup.corpus(config.data.corpus);
  // Reading a vocabulary takes longer than all else here, and the checkpoints of a run have the same.
  const std::string fit =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", config.data.corpus, config.model.encoder, info.tokenizer_digest,
                  info.label_position, config.data.max_subwords, info.config.model.encoder_layers);
  if (setup.checked.insert(fit).second) check_vocabulary(corpus, config, info);
  const data::TaskSet tasks = data::tasks_of(corpus.index(), config.sections);
  const model::ModelOptions options{info.config, info.tasks, info.languages, compute, setup.device};
  CheckpointScores scores;
  for (const std::string& split : setup.splits()) {
    const std::string folder = results_folder(checkpoint.folder(), checkpoint.step(), split);
    remove_dead_temporaries(folder);
    std::string left_out;
    const auto pairs = train::scorable_pairs(corpus, config.eval.pairs, split, options, "eval.pairs", &left_out);
    if (!left_out.empty() && setup.told.insert(split + left_out).second)
      log::info("{}: not scored, as the model has not learnt their task or language:{}", split, left_out);
    for (const data::Pair& pair : pairs) {
      const data::Task& task = tasks.at(pair.task);
      const train::Score score{checkpoint.folder(), split, pair, corpus.entry(pair).find_split(split)->counts.subwords};
      const std::string built_on = loaded ? loaded->model->method().built_on(pair.base_language()) : "";
      const Wanted wanted{data::result_path(folder, pair),
                          task.main_metric(),
                          train::scorer_text(config, task.main_metric(), compute, built_on),
                          checkpoint.manifest().files.at(train::kModelFile).xxh128,
                          corpus.digest(),
                          config.eval.predictions && !task.masked()};
      if (!setup.again && config.eval.limit == 0 && is_there(wanted, score)) {
        scores.present.push_back(score);
      } else {
        scores.missing.push_back(score);
      }
    }
  }
  if (scores.missing.empty() && scores.present.empty())
    throw UserError(ExitCode::kBadConfig, fmt::format("no pair of {} has a '{}' split that this model can score",
                                                      config.data.corpus, config.eval.split));
  return scores;
}

CheckpointScorer::CheckpointScorer(const train::Checkpoint& checkpoint, ScoringSetup& setup)
    : setup_(setup),
      loaded_(train::load_model(checkpoint, setup.line.config.model.encoder, options_of_line(setup.line),
                                train::compute_type(setup.precision), setup.device)),
      config_(evaluation_config(setup.line, loaded_.info, checkpoint.folder())),
      corpus_(setup.corpus(config_.data.corpus)) {}

std::vector<data::EvaluationResult> CheckpointScorer::score(const std::string& split,
                                                            const std::vector<data::Pair>& pairs,
                                                            comm::Communicator& communicator) {
  const std::string folder = results_folder(loaded_.checkpoint, loaded_.step, split);
  train::Evaluator evaluator(*loaded_.model, corpus_, communicator, config_, setup_.on_progress);
  const Clock::time_point start = Clock::now();
  std::vector<train::SplitPredictions> predictions;
  auto results = evaluator.evaluate(pairs, split, &predictions);
  const double seconds = std::max(seconds_since(start), 1e-9);
  int64_t sentences = 0;
  for (const data::EvaluationResult& result : results) sentences += result.sentences;
  const auto& trained = loaded_.info.trained_pairs;
  for (size_t i = 0; i < results.size(); ++i) {
    data::EvaluationResult& result = results[i];
    result.trained = std::find(trained.begin(), trained.end(), result.pair) != trained.end();
    result.checkpoint_xxh128 = loaded_.checkpoint_digest;
    result.corpus_xxh128 = corpus_.digest();
    log_result(result, static_cast<double>(sentences) / seconds);
    if (communicator.rank() != 0) continue;
    result.baseline = data::majority_baseline(corpus_, result.pair, split, result.sentences, trained);
    if (config_.eval.limit == 0) write(folder, result, predictions[i]);
  }
  return results;
}

void CheckpointScorer::write(const std::string& folder, const data::EvaluationResult& result,
                             const train::SplitPredictions& predictions) const {
  make_folders(folder);
  const bool with_predictions = config_.eval.predictions && !predictions.labels.empty();
  data::write_result(folder, result,
                     with_predictions ? predictions_text(corpus_.split(result.pair, result.split),
                                                         corpus_.tasks().at(result.pair.task), predictions)
                                      : "");
}

}  // namespace hyperx
