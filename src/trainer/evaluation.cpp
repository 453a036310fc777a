#include "trainer/evaluation.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "data/accuracy.h"
#include "data/entity_f1.h"
#include "data/seqeval_pos.h"

namespace hyperx::train {
namespace {

// A place that this rank has not filled; all others are summed with it as zero, so what is filled is stored with 2
// added.
constexpr int64_t kFilled = 2;

bool scores_entities(const data::TaskInfo& task) {
  return !task.labels.empty() && std::all_of(task.labels.begin(), task.labels.end(), data::is_entity_tag);
}

int64_t sentences_scored(const data::Split& split, int64_t limit) {
  return limit > 0 ? std::min(limit, split.sentences()) : split.sentences();
}

std::string source_text(const data::Corpus& corpus, const data::Pair& pair, const std::string& split) {
  std::string text;
  const data::SplitEntry* const entry = corpus.entry(pair).find_split(split);
  for (const data::SourceEntry& source : entry->sources)
    text += (text.empty() ? "" : "+") + (source.origin.empty() ? source.path : source.origin) + "@" +
            source.sha256.substr(0, 12);
  return text;
}

// Scores of the sentences that `take` lets through.
template <class Take>
data::MetricSet tag_metrics(const data::TaskInfo& task, const data::Split& split,
                            const std::vector<data::LabelId>& predicted, int64_t sentences, bool seqeval,
                            const Take& take) {
  data::AccuracyScorer accuracy(task.labels);
  const bool entities = scores_entities(task);
  data::EntityScorer entity_scorer(entities ? task.labels : std::vector<std::string>{"O"});
  data::SeqevalPosScorer pos_scorer(task.labels);
  size_t at = 0;
  for (int64_t sentence = 0; sentence < sentences; ++sentence) {
    const auto gold = split.labels_of(sentence);
    const std::span<const data::LabelId> guess(predicted.data() + at, gold.size());
    at += gold.size();
    if (!take(sentence)) continue;
    accuracy.add(gold, guess);
    if (entities) entity_scorer.add(gold, guess);
    if (seqeval) pos_scorer.add(gold, guess);
  }
  data::MetricSet metrics = entities ? data::entity_metrics(entity_scorer, accuracy) : data::accuracy_metrics(accuracy);
  if (seqeval) data::add_seqeval_metrics(pos_scorer, metrics);
  return metrics;
}

data::MetricSet masked_metrics(double loss_sum, int64_t count) {
  data::MetricSet metrics;
  const double loss = count > 0 ? loss_sum / static_cast<double>(count) : std::nan("");
  metrics.values["loss"] = loss;
  metrics.values["perplexity"] = std::exp(loss);
  return metrics;
}

}  // namespace

std::string scorer_text(const Config& config, const std::string& main_metric, at::ScalarType compute) {
  return main_metric + ",max_subwords=" + std::to_string(config.data.max_subwords) + "," + c10::toString(compute);
}

std::vector<int64_t> best_labels(const at::Tensor& logits) {
  const at::Tensor best = logits.argmax(1).to(torch::kCPU, torch::kLong).contiguous();
  return {best.const_data_ptr<int64_t>(), best.const_data_ptr<int64_t>() + best.numel()};
}

Evaluator::Evaluator(model::Model& model, const data::Corpus& corpus, comm::Communicator& communicator,
                     const Config& config, std::function<void()> on_progress)
    : model_(model),
      corpus_(corpus),
      communicator_(communicator),
      config_(config),
      on_progress_(std::move(on_progress)) {}

data::EvaluationResult Evaluator::evaluate(const data::Pair& pair, const std::string& split,
                                           SplitPredictions* predictions) {
  const data::BatchMaker maker(corpus_, {pair}, split, config_.data.max_subwords, config_.train.seed);
  data::EvaluationResult result =
      maker.masked(0) ? evaluate_masked(maker, pair) : evaluate_tags(maker, pair, predictions);
  result.pair = pair;
  result.split = split;
  result.sentences = sentences_scored(maker.split(0), config_.eval.limit);
  result.signature =
      data::signature_line(pair, split, source_text(corpus_, pair, split), result.sentences, result.words,
                           scorer_text(config_, result.main_metric, model_.options().compute));
  return result;
}

void Evaluator::predict_batch(const data::Batch& batch, const data::Split& split, std::vector<int64_t>& words) {
  const std::vector<int64_t> best = best_labels(model_.logits(model_.pack(batch)).at(0));
  size_t sentence = 0;
  for (size_t label = 0; label < best.size(); ++label) {
    while (batch.label_positions[label] >= batch.sentence_starts[sentence + 1]) ++sentence;
    const auto id = static_cast<size_t>(batch.sentence_ids[sentence]);
    words[static_cast<size_t>(split.word_starts[id] + batch.label_words[label])] = best[label] + kFilled;
  }
}

data::EvaluationResult Evaluator::evaluate_tags(const data::BatchMaker& maker, const data::Pair& pair,
                                                SplitPredictions* predictions) {
  const data::Split& split = maker.split(0);
  const int64_t sentences = sentences_scored(split, config_.eval.limit);
  const auto stretches = maker.evaluation_stretches(0, config_.eval.limit, config_.eval.batch_tokens);
  const int64_t word_count = split.word_starts[static_cast<size_t>(sentences)];
  std::vector<int64_t> words(static_cast<size_t>(word_count), 0);
  model_.begin_step({pair}, false);
  for (size_t i = static_cast<size_t>(communicator_.rank()); i < stretches.size();
       i += static_cast<size_t>(communicator_.size())) {
    predict_batch(maker.make_evaluation(0, stretches[i]), split, words);
    on_progress_();
  }
  words = communicator_.all_reduce_sum(std::move(words));

  std::vector<data::LabelId> predicted(words.size());
  data::EvaluationResult result;
  result.words = result.words_scored = word_count;
  for (size_t w = 0; w < words.size(); ++w) {
    predicted[w] = words[w] == 0 ? data::kNoPrediction : static_cast<data::LabelId>(words[w] - kFilled);
    if (words[w] != 0) continue;
    ++(split.word_positions[w] < 0 ? result.unlabelled_words : result.truncated_words);
  }
  const data::TaskInfo task{pair.task, corpus_.labels(pair.task), false};
  const bool seqeval = config_.eval.pos_metric == "seqeval" && pair.task == "pos";
  result.metrics = tag_metrics(task, split, predicted, sentences, seqeval, [](int64_t) { return true; });
  result.main_metric = scores_entities(task) ? "f1" : seqeval ? "seqeval_f1" : "accuracy";
  if (!split.seen.empty()) {
    const auto is_novel = [&](int64_t sentence) { return split.seen[static_cast<size_t>(sentence)] == 0; };
    for (int64_t s = 0; s < sentences; ++s) result.novel_sentences += is_novel(s) ? 1 : 0;
    if (result.novel_sentences > 0) result.novel = tag_metrics(task, split, predicted, sentences, seqeval, is_novel);
  }
  if (predictions != nullptr) predictions->labels = std::move(predicted);
  return result;
}

data::EvaluationResult Evaluator::evaluate_masked(const data::BatchMaker& maker, const data::Pair& pair) {
  const data::Split& split = maker.split(0);
  const auto stretches = maker.evaluation_stretches(0, config_.eval.limit, config_.eval.batch_tokens);
  const int64_t sentences = sentences_scored(split, config_.eval.limit);
  at::Tensor sums = torch::zeros({2, sentences}, torch::kFloat64);  // loss and masked tokens, a sentence
  auto values = sums.accessor<double, 2>();
  model_.begin_step({pair}, false);
  for (size_t i = static_cast<size_t>(communicator_.rank()); i < stretches.size();
       i += static_cast<size_t>(communicator_.size())) {
    const data::Batch batch = maker.make_evaluation(0, stretches[i]);
    on_progress_();
    if (batch.labels.empty()) continue;
    const model::PackedBatch packed = model_.pack(batch);
    const at::Tensor losses =
        torch::nn::functional::cross_entropy(model_.logits(packed).at(0), packed.labels,
                                             torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone))
            .to(torch::kCPU, torch::kFloat64);
    size_t sentence = 0;
    for (size_t label = 0; label < batch.labels.size(); ++label) {
      while (batch.label_positions[label] >= batch.sentence_starts[sentence + 1]) ++sentence;
      const int64_t id = batch.sentence_ids[sentence];
      values[0][id] += losses[static_cast<int64_t>(label)].item<double>();
      values[1][id] += 1;
    }
  }
  at::Tensor on_device = sums.to(model_.options().device);
  communicator_.all_reduce(on_device);
  sums.copy_(on_device);

  data::EvaluationResult result;
  double loss = 0, novel_loss = 0;
  int64_t count = 0, novel_count = 0;
  for (int64_t s = 0; s < sentences; ++s) {
    const int64_t masked = static_cast<int64_t>(values[1][s]);
    loss += values[0][s];
    count += masked;
    if (split.seen.empty() || split.seen[static_cast<size_t>(s)] != 0) continue;
    ++result.novel_sentences;
    novel_loss += values[0][s];
    novel_count += masked;
  }
  result.main_metric = "loss";
  result.metrics = masked_metrics(loss, count);
  if (result.novel_sentences > 0) result.novel = masked_metrics(novel_loss, novel_count);
  result.words = result.words_scored = count;
  return result;
}

std::vector<data::Pair> scorable_pairs(const data::Corpus& corpus, const std::string& set, const std::string& split,
                                       const model::ModelOptions& model, const std::string& key) {
  const auto known = [&](const data::Pair& pair) {
    const bool task =
        std::any_of(model.tasks.begin(), model.tasks.end(), [&](const auto& t) { return t.name == pair.task; });
    return task &&
           std::find(model.languages.begin(), model.languages.end(), pair.base_language()) != model.languages.end();
  };
  std::vector<data::Pair> available, scorable;
  for (const data::Pair& pair : corpus.pairs_with(split)) {
    available.push_back(pair);
    if (known(pair)) scorable.push_back(pair);
  }
  if (set.empty()) return scorable;
  std::vector<data::Pair> chosen;
  for (const data::Pair& pair : data::select_pairs(set, available, key)) {
    if (known(pair)) {
      chosen.push_back(pair);
    } else if (set.find('*') == std::string::npos) {
      throw UserError(ExitCode::kBadConfig, key + ": the model cannot score " + pair.name() +
                                                ": it has learnt nothing of this task or of this language");
    }
  }
  return chosen;
}

}  // namespace hyperx::train
