#include "trainer/estimate/step_work.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/batch/mlm_masks.h"
#include "data/batch/sampling_epoch.h"
#include "data/tokenizer/tokenizer.h"

namespace hyperx::estimate {
namespace {

constexpr double kDefaultTokens = 22, kDefaultWords = 16;  // per sentence of UD English EWT's training data
constexpr double kLengthSpread = 1.4;  // mean of length² divided by the square of the mean, same data

// Adds the mini-batches of one kind; `draws` is their share of the draws.
void add_draws(StepSizes& step, const std::string& task, bool masked, double draws, double sentences, double tokens,
               double longest, double words) {
  step.sentences += draws * sentences;
  step.tokens += draws * sentences * tokens;
  step.squares += draws * sentences * std::min(kLengthSpread * tokens * tokens, tokens * std::max(longest, tokens));
  step.task_shares[task] += draws / step.pairs;
  if (masked)
    step.masked += draws * sentences * data::kMaskShare * (tokens - data::kFrameTokens);
  else
    step.labelled += draws * sentences * words;
}

}  // namespace

StepSizes share_of(const StepSizes& step, int ranks, bool whole_pairs) {
  const double units = whole_pairs ? step.pairs : step.sentences;
  const double part = units < 1 ? 1 : std::min(1.0, std::ceil(units / ranks) / units);
  StepSizes share = step;
  for (double* value : {&share.sentences, &share.tokens, &share.squares, &share.labelled, &share.masked})
    *value *= part;
  return share;
}

StepWork work_of(const StepSizes& share, const ModelSizes& model, const model::MethodCosts& costs, double value_bytes) {
  const double h = static_cast<double>(model.encoder.hidden), f = static_cast<double>(model.encoder.intermediate);
  const double layers = static_cast<double>(model.encoder.layers), passes = model.method().trains_encoder() ? 3 : 2;
  StepWork work;
  // After attention the last layer computes only the rows that the loss needs.
  const double beyond_attention = (layers - 1) * share.tokens + share.labelled + share.masked;
  const double products = static_cast<double>(encoder_sizes(model.encoder).products);
  const double query_key_value = 3 * h * h, others = products / layers - query_key_value;
  // Frozen products cost one product forward and one backward, trained ones two backward.
  work.product_operations = 2 * layers * share.tokens * passes * query_key_value;
  work.product_operations += 2 * beyond_attention * (passes * others + 3 * costs.product_values);
  double of_label = 0, shares = 0, of_masked = 0, scores = 0;  // per label: the mean over labelled tasks; the largest
  for (const auto& task : model.tasks) {
    const model::HeadCosts head = model.head(*task);
    if (task->masked()) {
      of_masked = std::max(of_masked, head.products);
      scores = std::max(scores, static_cast<double>(head.classes));
      continue;
    }
    const auto found = share.task_shares.find(task->name());
    const double own = found == share.task_shares.end() ? 0 : found->second;
    of_label += own * head.products;
    shares += own;
  }
  if (shares > 0) of_label /= shares;
  work.product_operations += 2 * (share.labelled * of_label + share.masked * of_masked);
  work.weight_bytes = 2 * products * value_bytes;
  work.attention_operations = layers * 12 * share.squares * h;
  // Forward: two dropouts with sums, two norms, GELU, the adapter's ReLU and sums; backward the same, plus the sums of
  // gradients where a value is used twice.
  const double softmax = 5 * share.masked * scores * 4;
  work.element_bytes = beyond_attention * value_bytes * (34 * h + 5 * f + 5 * costs.activation_values) + softmax;

  work.generator_bytes = costs.update_bytes;
  work.generator_operations = costs.update_operations;
  work.forward_share = 1 / passes;
  work.layer_passes = layers * share.pairs;
  return work;
}

StepSizes step_of_corpus(const data::CorpusIndex& index, const std::vector<data::Pair>& pairs, const Config& config) {
  StepSizes step;
  step.pairs = config.train.pairs_per_step;
  step.sentences = 0;
  std::vector<int64_t> batches;
  std::vector<const data::SplitCounts*> counts;
  std::map<data::Pair, const data::SplitEntry*> splits;
  const data::TaskSet tasks = data::tasks_of(index);
  for (const data::PairEntry& entry : index.pairs) splits[entry.pair] = entry.find_split("train");
  for (const data::Pair& pair : pairs) {
    counts.push_back(&splits.at(pair)->counts);
    batches.push_back((counts.back()->sentences + config.train.batch_sentences - 1) / config.train.batch_sentences);
  }
  const std::vector<double> shares = data::draw_probabilities(batches, config.train.temperature);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double lines = static_cast<double>(std::max<int64_t>(1, counts[i]->sentences));
    const double longest =
        std::min<double>(config.data.max_subwords, static_cast<double>(counts[i]->longest) + data::kFrameTokens);
    const double tokens = std::min<double>(config.data.max_subwords,
                                           static_cast<double>(counts[i]->subwords) / lines + data::kFrameTokens);
    const double words = static_cast<double>(counts[i]->words - counts[i]->empty - counts[i]->truncated) / lines;
    add_draws(step, pairs[i].task, tasks.at(pairs[i].task).masked(), step.pairs * shares[i],
              lines / static_cast<double>(std::max<int64_t>(1, batches[i])), tokens, longest, words);
  }
  return step;
}

StepSizes step_by_default(const data::TaskSet& tasks, const TrainConfig& config) {
  StepSizes step;
  step.pairs = config.pairs_per_step;
  step.sentences = 0;
  for (const auto& task : tasks)
    add_draws(step, task->name(), task->masked(), step.pairs / static_cast<double>(tasks.size()),
              config.batch_sentences, kDefaultTokens, 256, kDefaultWords);
  return step;
}

}  // namespace hyperx::estimate
