// What the cases of the methods beside Hyper-X, and of trees, have of their own.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "data/tasks/dependencies/dep_options.h"
#include "data/tasks/dependencies/dependency_label.h"
#include "model/heads/biaffine.h"
#include "model/methods/madx/madx_options.h"
#include "model/methods/psf/psf.h"
#include "tests/golden/case_names.h"
#include "tests/golden/golden_case.h"

namespace hyperx::golden {

using nlohmann::json;

// One adapter is trained: the active language's, or, in a stack, the task's.
void GoldenCase::read_madx() {
  const json& options = json_.at("adapters");
  config_.model.method = "madx";
  model::MadxOptions& madx = config_.sections.edit<model::MadxOptions>();
  madx.language_adapter_dim = options.at("bottleneck_language");
  madx.task_adapter_dim = options.at("bottleneck_task");
  const std::string active = json_.at("active");
  if (active.find("Stack") == std::string::npos) {
    languages_ = {active};
    return;
  }
  languages_ = strings(options.at("languages"));
  for (const std::string& language : languages_) {
    model::TrainedRun run{"the case's " + language, config_, {}, {language}, {}};
    for (const std::string& name : arrays_->names())
      if (name.starts_with("weights/"))
        if (const std::string ours = our_name(name.substr(8)); ours.starts_with("madx.languages." + language + "."))
          run.values[ours] = arrays_->tensor(name);
    needed_.push_back(std::move(run));
  }
  madx.train = "task";
}

void GoldenCase::read_psf() {
  const json& options = json_.at("psf");
  config_.model.method = "psf";
  model::PsfOptions& psf = config_.sections.edit<model::PsfOptions>();
  psf.latent_dim = options.at("emb_dim");
  psf.samples = options.at("n_samples");
  psf.mlp_layers = options.at("mlp_layers");
  if (options.at("rank_cov") > 0) {
    psf.posterior = "low-rank";
    psf.rank = options.at("rank_cov");
  }
  config_.train.steps = options.at("t_total");
  for (const auto& [language, row] : options.at("languages_sorted_index").items()) languages_.push_back(language);
  for (const auto& [task, row] : options.at("tasks_sorted_index").items()) {
    tasks_.add(task, std::vector<std::string>(options.at("n_classes").at(task).get<size_t>(), "label"));
    for (const std::string& language : languages_) pairs_.push_back({task, language});
  }
}

// The original scores all rows of the padded batch; those without a word are zero vectors.
void GoldenCase::check_trees() {
  const at::Tensor ids = arrays_->tensor("inputs/input_ids"), mask = arrays_->tensor("inputs/attention_mask");
  const at::Tensor starts = arrays_->tensor("inputs/word_starts"), arcs = arrays_->tensor("inputs/labels_arcs"),
                   rels = arrays_->tensor("inputs/labels_rels");
  const int64_t length = ids.size(1), relations = std::ssize(tasks_.at("dep").labels());
  data::Batch batch;
  batch.tree = true;
  batch.sentence_starts.push_back(0);
  std::vector<int64_t> rows, word_rows, gold_heads, words;  // word_rows: of a word in [batch * length]
  for (int64_t s = 0; s < ids.size(0); ++s) {
    const auto first = static_cast<int64_t>(batch.input_ids.size());
    const auto add_row = [&](int64_t token, int64_t label, int64_t word) {
      batch.label_positions.push_back(first + token);
      batch.labels.push_back(label);
      batch.label_words.push_back(static_cast<int32_t>(word));
    };
    add_row(0, data::kNoLabel, -1);
    words.push_back(0);
    for (int64_t word = 0; arcs[s][word].item<int64_t>() >= 0; ++word, ++words.back()) {
      gold_heads.push_back(arcs[s][word].item<int64_t>());
      word_rows.push_back(s * length + word);
      const data::DependencyLabel label{gold_heads.back(), rels[s][word].item<int64_t>()};
      for (auto at = starts[s][word].item<int64_t>(); at < starts[s][word + 1].item<int64_t>(); ++at)
        add_row(at, at == starts[s][word].item<int64_t>() ? label.packed(relations) : data::kNoLabel, word);
      if (word + 1 == length) break;
    }
    for (int64_t t = 0; t < length && mask[s][t].item<int64_t>() != 0; ++t) {
      batch.input_ids.push_back(ids[s][t].item<int64_t>());
      batch.positions.push_back(t);
      rows.push_back(s * length + t);
    }
    batch.sentence_starts.push_back(static_cast<int32_t>(batch.input_ids.size()));
    batch.sentence_slots.push_back(s);
  }
  data::Segment segment;
  segment.token_end = static_cast<int>(batch.input_ids.size());
  segment.sentence_end = static_cast<int>(ids.size(0));
  segment.label_end = static_cast<int>(batch.labels.size());
  segment.label_count = std::ssize(gold_heads);
  batch.segments = {segment};
  const model::PackedBatch packed = model_->pack(batch);
  const auto indices = [](const std::vector<int64_t>& values) {
    return at::tensor(at::ArrayRef<int64_t>(values), at::kLong);
  };

  model_->begin_step({pair()}, false);
  std::vector<at::Tensor> hidden;
  at::Tensor scores, at_gold, at_predicted, predicted;
  std::vector<at::Tensor> to_candidate;  // [words, relations] by candidate
  model_->for_each_part(packed, &hidden, [&](const model::Head& head, const model::HeadInput& input, const auto&) {
    const auto& biaffine = dynamic_cast<const model::Biaffine&>(head);
    scores = biaffine.logits(input);
    at_gold = biaffine.relation_scores(input, indices(gold_heads));
    for (int64_t candidate = 0; candidate <= *std::min_element(words.begin(), words.end()); ++candidate)
      to_candidate.push_back(biaffine.relation_scores(input, at::full({std::ssize(gold_heads)}, candidate, at::kLong)));
    // Rows without a word score 0: the first of them stands for all.
    predicted = at::where(at::isinf(scores), at::zeros({}, scores.options()), scores);
    predicted = at::cat({predicted, at::zeros({predicted.size(0), 1}, predicted.options())}, 1).argmax(1);
    return scores;
  });
  check_hidden("", hidden, indices(rows));
  // Ours stand in for the words' values in what the original computed of all rows.
  const at::Tensor place = indices(word_rows);
  bool wide = false;
  const auto compare_words = [&](const std::string& name, const at::Tensor& ours, const at::Tensor& known) {
    const at::Tensor expected = reference("outputs", name, wide).to(at::kDouble);
    at::Tensor filled = expected.clone().view({ids.size(0) * length, -1});
    const at::Tensor theirs = filled.index_select(0, place);
    filled.index_copy_(0, place, at::where(known, ours.to(at::kDouble).view(theirs.sizes()), theirs));
    compare("outputs", name, filled, kOutputs.wide, kOutputs.narrow);
  };
  const at::Tensor all_scores = at::constant_pad_nd(scores, {0, length + 1 - scores.size(1)}, -INFINITY);
  compare_words("arc_preds", all_scores, ~at::isinf(all_scores));
  at::Tensor relation_scores = at::zeros({place.numel(), length + 1, relations}, at::kDouble),
             known = at::zeros_like(relation_scores);
  for (size_t candidate = 0; candidate < to_candidate.size(); ++candidate) {
    relation_scores.select(1, static_cast<int64_t>(candidate)).copy_(to_candidate[candidate]);
    known.select(1, static_cast<int64_t>(candidate)).fill_(1);
  }
  compare_words("rel_preds", relation_scores.view({place.numel(), -1}), known.view({place.numel(), -1}).to(at::kBool));
  const at::Tensor yes = at::ones({place.numel(), 1}, at::kBool);
  compare_words("pred_heads", predicted.unsqueeze(1), yes);
  compare_words("pred_rels_at_gold_head", at_gold.argmax(1, true), yes);
  // The relation to a row without a word follows from the bias alone, which we do not compute.
  const at::Tensor best = relation_scores.gather(1, predicted.view({-1, 1, 1}).expand({-1, 1, relations})).argmax(2);
  compare_words("pred_rels_at_pred_head", best,
                known.gather(1, predicted.view({-1, 1, 1}).expand({-1, 1, 1})).squeeze(2).to(at::kBool));

  model_->begin_step({pair()}, true);
  const at::Tensor loss = model_->loss(packed, {});
  compare("outputs", "loss", loss, kLoss.wide, kLoss.narrow);
  loss.backward();
  check_gradients();
  // The same with the words of the sentence alone as candidates.
  model::ModelOptions options = model_->options();
  options.config.sections.edit<data::DepOptions>().zero_candidates = 0;
  config_ = options.config;
  make_model("");
  set_weights();
  model_->begin_step({pair()}, true);
  compare("extra", "loss_words_only", model_->loss(packed, {}), kLoss.wide, kLoss.narrow);
}

void GoldenCase::check_psf() {
  const PackedInput input = pack("");
  auto& psf = dynamic_cast<model::Psf&>(model_->method());
  const at::TensorOptions options = at::TensorOptions().dtype(type_);
  // The draws of all samples, one below the other.
  psf.replay([&](const std::string& draw, at::IntArrayRef shape) {
    static const std::map<std::string, std::string> kNames = {{"language", "lang_epsilon"},
                                                              {"language.zeta", "lang_zeta"},
                                                              {"task", "task_epsilon"},
                                                              {"task.zeta", "task_zeta"},
                                                              {"weight", "theta_epsilon"}};
    std::vector<at::Tensor> samples;
    for (int64_t k = 0; k < shape[0]; ++k)
      samples.push_back(arrays_->tensor("noise/sample." + std::to_string(k) + "." + kNames.at(draw))
                            .reshape({1, shape[1]})
                            .to(options));
    return at::cat(samples);
  });
  const auto compare_head = [&](const std::string& prefix, const model::HeadWeights& head) {
    compare("outputs", prefix + "head_weight", head.weight, kOutputs.wide, kOutputs.narrow);
    compare("outputs", prefix + "head_bias", head.bias, kOutputs.wide, kOutputs.narrow);
  };
  const at::Tensor labels = input.labelled.labels;
  const auto loss_of = [&](const at::Tensor& logits) {
    return at::cross_entropy_loss(logits, labels) / labels.numel();  // of the words' mean, divided once more
  };
  model_->begin_step({pair()}, false);
  compare_head("plugged_in.", psf.head_samples(0).at(0));
  const at::Tensor plugged_in = model_->logits(input.labelled)[0];
  compare("outputs", "plugged_in.logits", plugged_in, kOutputs.wide, kOutputs.narrow);
  compare("outputs", "plugged_in.loss_nll", loss_of(plugged_in), kLoss.wide, kLoss.narrow);

  model_->begin_step({pair()}, true);
  const std::vector<model::HeadWeights> samples = psf.head_samples(0);
  for (size_t k = 0; k < samples.size(); ++k) compare_head("sample." + std::to_string(k) + ".", samples[k]);
  compare("outputs", "logits", model_->logits(input.labelled)[0], kOutputs.wide, kOutputs.narrow);
  compare("outputs", "kl", psf.divergence(0), kLoss.wide, kLoss.narrow);
  const at::Tensor likelihood = model_->loss(input.labelled, {});
  compare("outputs", "loss_nll", likelihood, kLoss.wide, kLoss.narrow);
  const at::Tensor loss = likelihood + psf.extra_loss();
  compare("outputs", "loss_total", loss, kLoss.wide, kLoss.narrow);
  loss.backward();
  check_gradients();
  // What was drawn is compared by what came of it.
  for (const std::string& name : arrays_->names())
    if (name.starts_with("noise/")) deviations_.push_back({name, 0, 0, 0, true});
}

// Another language's adapter below the same task's.
void GoldenCase::check_swapped(const PackedInput& input) {
  bool wide = false;
  const at::Tensor expected = reference("outputs", "swapped_logits", wide);
  if (!expected.defined()) return;
  model_->begin_step({{pair().task, languages_.back()}}, false);
  at::Tensor padded = expected.to(at::kDouble).clone().view({-1, expected.size(-1)});
  padded.index_copy_(0, input.rows, model_->logits(input.all)[0].to(at::kDouble));
  compare("outputs", "swapped_logits", padded, kOutputs.wide, kOutputs.narrow);
  compare("outputs", "swapped_loss", model_->loss(input.labelled, {}), kLoss.wide, kLoss.narrow);
}

}  // namespace hyperx::golden
