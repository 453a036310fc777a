#include "trainer/evaluation/evaluation.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "common/errors.h"
#include "common/log.h"
#include "data/batch/tree_rows.h"

namespace hyperx::train {
namespace {

// Offset of stored entries. An entry that this rank has not filled stays zero; all ranks' entries are summed, so a
// filled one is stored with 2 added.
constexpr int64_t kFilled = 2;

// Words of the pairs that are scored together: one exchange carries 32 MB.
constexpr int64_t kGroupWords = int64_t{4} << 20;

// The input of one forward pass: sentences of one pair.
struct Stretch {
  int pair = 0;
  std::vector<int64_t> sentences;
  int64_t tokens = 0;
};

// A rank's part of all pairs' batches: adjacent ones, because the rank generates theta for each pair in its batches,
// with about as many tokens as every other rank.
std::vector<Stretch> own_stretches(const data::BatchMaker& maker, const EvalConfig& config, int rank, int ranks) {
  std::vector<Stretch> all;
  int64_t total = 0;
  for (int pair = 0; pair < static_cast<int>(maker.pairs().size()); ++pair)
    for (std::vector<int64_t>& sentences : maker.evaluation_stretches(pair, config.limit, config.batch_tokens)) {
      Stretch stretch{pair, std::move(sentences), 0};
      for (const int64_t sentence : stretch.sentences) stretch.tokens += maker.token_count(pair, sentence);
      total += stretch.tokens;
      all.push_back(std::move(stretch));
    }
  std::vector<Stretch> own;
  int64_t before = 0;
  for (Stretch& stretch : all) {
    const int64_t middle = before + stretch.tokens / 2;
    before += stretch.tokens;
    if (middle * ranks / total == rank) own.push_back(std::move(stretch));
  }
  return own;
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

// Scores a split's first sentences, and separately those that are in no training data. `found(s)` returns the model's
// output for sentence s.
template <class Found>
void add_scores(const data::Task& task, const data::Split& split, int64_t sentences, const Found& found,
                data::EvaluationResult& result) {
  const auto all = task.scorer(task.labels()), novel = task.scorer(task.labels());
  for (int64_t s = 0; s < sentences; ++s) {
    const data::ScoredSentence sentence = found(s);
    all->add(sentence);
    if (split.seen.empty() || split.seen[static_cast<size_t>(s)] != 0) continue;
    novel->add(sentence);
    ++result.novel_sentences;
  }
  result.main_metric = task.main_metric();
  result.metrics = all->metrics();
  if (result.novel_sentences > 0) result.novel = novel->metrics();
}

}  // namespace

std::string scorer_text(const Config& config, const std::string& main_metric, at::ScalarType compute,
                        const std::string& built_on) {
  return main_metric + ",max_subwords=" + std::to_string(config.data.max_subwords) + "," + c10::toString(compute) +
         (built_on.empty() ? "" : "," + built_on);
}

std::vector<int64_t> best_labels(model::Model& model, const data::Batch& batch) {
  const at::Tensor best = model.predict(model.pack(batch)).at(0).to(at::kCPU, at::kLong).contiguous();
  std::vector<int64_t> labels(best.const_data_ptr<int64_t>(), best.const_data_ptr<int64_t>() + best.numel());
  if (batch.tree) {
    const data::Task& task = model.options().tasks.at(model.step_pairs().front().task);
    data::number_heads(batch, std::ssize(task.labels()), labels);
  }
  return labels;
}

Evaluator::Evaluator(model::Model& model, const data::Corpus& corpus, comm::Communicator& communicator,
                     const Config& config, std::function<void()> on_progress)
    : model_(model),
      corpus_(corpus),
      communicator_(communicator),
      config_(config),
      tasks_(data::tasks_of(corpus.index(), config.sections)),
      on_progress_(std::move(on_progress)) {}

// The model's outputs for a group of pairs, each from its own offset: one entry per word of a tagged pair, one per
// sentence of a masked pair.
struct Evaluator::Findings {
  std::vector<int64_t> places;  // [pairs]
  std::vector<int64_t> words;   // label + kFilled
  at::Tensor sums;              // [2, sentences] double: loss and masked tokens

  double* losses(size_t pair) const { return sums.data_ptr<double>() + places[pair]; }
  double* counts(size_t pair) const { return losses(pair) + sums.size(1); }
};

std::vector<data::EvaluationResult> Evaluator::evaluate(const std::vector<data::Pair>& pairs, const std::string& split,
                                                        std::vector<SplitPredictions>* predictions) {
  std::vector<data::EvaluationResult> results;
  if (predictions != nullptr) predictions->clear();
  std::vector<data::Pair> group;
  int64_t room = kGroupWords;
  for (const data::Pair& pair : pairs) {
    const data::SplitEntry* const entry = corpus_.entry(pair).find_split(split);
    const int64_t words = entry == nullptr ? 0 : std::max(entry->counts.words, entry->counts.sentences);
    if (!group.empty() && words > room) {
      evaluate_group(group, split, results, predictions);
      group.clear();
      room = kGroupWords;
    }
    group.push_back(pair);
    room -= words;
  }
  if (!group.empty()) evaluate_group(group, split, results, predictions);
  return results;
}

void Evaluator::evaluate_group(const std::vector<data::Pair>& pairs, const std::string& split,
                               std::vector<data::EvaluationResult>& results,
                               std::vector<SplitPredictions>* predictions) {
  const data::BatchMaker maker(corpus_, pairs, split, config_.data.max_subwords, config_.train.seed);
  Findings findings;
  int64_t words = 0, masked_sentences = 0;
  for (int pair = 0; pair < static_cast<int>(pairs.size()); ++pair) {
    maker.verify(pair);
    const int64_t sentences = sentences_scored(maker.split(pair), config_.eval.limit);
    int64_t& end = maker.masked(pair) ? masked_sentences : words;
    findings.places.push_back(end);
    end += maker.masked(pair) ? sentences : maker.split(pair).word_starts[static_cast<size_t>(sentences)];
  }
  findings.words.assign(static_cast<size_t>(words), 0);
  findings.sums = at::zeros({2, masked_sentences}, at::kDouble);
  compute(maker, findings);
  if (words > 0) findings.words = communicator_.all_reduce_sum(std::move(findings.words));
  if (masked_sentences > 0) {
    at::Tensor on_device = findings.sums.to(model_.options().device);
    communicator_.all_reduce(on_device);
    findings.sums.copy_(on_device);
  }

  for (size_t i = 0; i < pairs.size(); ++i) {
    const int pair = static_cast<int>(i);
    const data::Task& task = tasks_.at(pairs[i].task);
    const data::Split& scored = maker.split(pair);
    SplitPredictions* const guesses = predictions == nullptr ? nullptr : &predictions->emplace_back();
    data::EvaluationResult result = maker.masked(pair)
                                        ? masked_result(task, scored, findings.losses(i), findings.counts(i))
                                        : tag_result(task, scored, findings.words.data() + findings.places[i], guesses);
    result.pair = pairs[i];
    result.split = split;
    result.sentences = sentences_scored(scored, config_.eval.limit);
    result.signature =
        data::signature_line(pairs[i], split, source_text(corpus_, pairs[i], split), result.sentences, result.words,
                             scorer_text(config_, result.main_metric, model_.options().compute,
                                         model_.method().built_on(pairs[i].base_language())));
    results.push_back(std::move(result));
  }
}

void Evaluator::compute(const data::BatchMaker& maker, Findings& findings) {
  const std::vector<Stretch> stretches = own_stretches(maker, config_.eval, communicator_.rank(), communicator_.size());
  // If the generators are sharded, all ranks must take part in generating theta, even those without batches.
  const bool all_take_part = model_.method().select_is_collective();
  auto stretch = stretches.begin();
  for (int pair = 0; pair < static_cast<int>(maker.pairs().size()); ++pair) {
    const auto i = static_cast<size_t>(pair);
    const auto is_own = [&] { return stretch != stretches.end() && stretch->pair == pair; };
    if (is_own() || all_take_part) {
      RECORD_USER_SCOPE("hyperx::generator");
      model_.begin_step({maker.pairs()[i]}, false);
    }
    for (; is_own(); ++stretch) {
      const data::Batch batch = maker.make_evaluation(pair, stretch->sentences);
      if (maker.masked(pair))
        add_losses(batch, findings.losses(i), findings.counts(i));
      else
        tag(batch, maker.split(pair), findings.words.data() + findings.places[i]);
      on_progress_();
    }
  }
}

void Evaluator::tag(const data::Batch& batch, const data::Split& split, int64_t* words) {
  const std::vector<int64_t> best = best_labels(model_, batch);
  size_t sentence = 0;
  for (size_t label = 0; label < best.size(); ++label) {
    while (batch.label_positions[label] >= batch.sentence_starts[sentence + 1]) ++sentence;
    if (batch.label_words[label] < 0) continue;  // of a tree: the row of the root
    const auto id = static_cast<size_t>(batch.sentence_ids[sentence]);
    words[split.word_starts[id] + batch.label_words[label]] = best[label] + kFilled;
  }
}

void Evaluator::add_losses(const data::Batch& batch, double* losses, double* counts) {
  if (batch.labels.empty()) return;
  const at::Tensor found = model_.losses(model_.pack(batch)).at(0).to(at::kCPU, at::kDouble);
  const double* const loss = found.const_data_ptr<double>();
  size_t sentence = 0;
  for (size_t label = 0; label < batch.labels.size(); ++label) {
    while (batch.label_positions[label] >= batch.sentence_starts[sentence + 1]) ++sentence;
    losses[batch.sentence_ids[sentence]] += loss[label];
    counts[batch.sentence_ids[sentence]] += 1;
  }
}

data::EvaluationResult Evaluator::tag_result(const data::Task& task, const data::Split& split, const int64_t* words,
                                             SplitPredictions* predictions) const {
  const int64_t sentences = sentences_scored(split, config_.eval.limit);
  std::vector<data::LabelId> predicted(static_cast<size_t>(split.word_starts[static_cast<size_t>(sentences)]));
  data::EvaluationResult result;
  result.words = result.words_scored = std::ssize(predicted);
  for (size_t w = 0; w < predicted.size(); ++w) {
    predicted[w] = words[w] == 0 ? data::kNoPrediction : static_cast<data::LabelId>(words[w] - kFilled);
    if (words[w] != 0) continue;
    ++(split.word_positions[w] < 0 ? result.unlabelled_words : result.truncated_words);
  }
  const auto tags_of = [&](int64_t s) -> data::ScoredSentence {
    const auto gold = split.labels_of(s);
    const auto first = static_cast<size_t>(split.word_starts[static_cast<size_t>(s)]);
    return {.gold = gold, .predicted = std::span(predicted).subspan(first, gold.size())};
  };
  add_scores(task, split, sentences, tags_of, result);
  if (predictions != nullptr) predictions->labels = std::move(predicted);
  return result;
}

data::EvaluationResult Evaluator::masked_result(const data::Task& task, const data::Split& split, const double* losses,
                                                const double* counts) const {
  const int64_t sentences = sentences_scored(split, config_.eval.limit);
  data::EvaluationResult result;
  const auto losses_of = [&](int64_t s) -> data::ScoredSentence {
    return {.loss = losses[s], .masked = static_cast<int64_t>(counts[s])};
  };
  add_scores(task, split, sentences, losses_of, result);
  for (int64_t s = 0; s < sentences; ++s) result.words += static_cast<int64_t>(counts[s]);
  result.words_scored = result.words;
  return result;
}

std::vector<data::Pair> scorable_pairs(const data::Corpus& corpus, const std::string& set, const std::string& split,
                                       const model::ModelOptions& model, const std::string& key,
                                       std::string* left_out) {
  const std::set<std::string> languages(model.languages.begin(), model.languages.end());
  const bool any_language = !model::find_method_spec(model.config.model.method).by_language(model.config);
  const auto known = [&](const data::Pair& pair) {
    return model.tasks.find(pair.task) != nullptr && (any_language || languages.contains(pair.base_language()));
  };
  const std::vector<data::Pair> available = corpus.pairs_with(split);
  std::vector<data::Pair> chosen;
  std::string names;
  for (const data::Pair& pair : set.empty() ? available : data::select_pairs(set, available, key)) {
    if (known(pair)) {
      chosen.push_back(pair);
    } else if (set.empty() || set.find('*') != std::string::npos) {
      names += fmt::format(" {}", pair.name());
    } else {
      const bool knows_task = model.tasks.find(pair.task) != nullptr;
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("{}: the model cannot score {}: it has learnt nothing of the {} {}", key, pair.name(),
                                  knows_task ? "language" : "task", knows_task ? pair.base_language() : pair.task));
    }
  }
  if (left_out != nullptr) {
    *left_out = names;
  } else if (!names.empty()) {
    log::info("not scored, as the model has not learnt their task or language:{}", names);
  }
  return chosen;
}

}  // namespace hyperx::train
