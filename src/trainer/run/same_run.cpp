#include "trainer/run/same_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/errors.h"

namespace hyperx::train {
namespace {

constexpr std::array kOfTheRun = {"data.max_subwords", "train.pairs",        "train.batch_sentences",
                                  "train.seed",        "train.temperature",  "train.pairs_per_step",
                                  "train.sampling",    "train.length_bucket"};
constexpr std::array kOfTheLearning = {
    "train.steps",     "train.epochs",        "train.learning_rate",       "train.warmup_steps",
    "train.schedule",  "train.clip_norm",     "train.final_learning_rate", "train.weight_decay",
    "train.precision", "train.deterministic", "train.cuda_graphs",         "kernels"};

template <class Keys>
bool contains(const Keys& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool belongs_to_run(const std::string& key) {
  return contains(kOfTheRun, key) || (key.rfind("model.", 0) == 0 && key != "model.encoder");  // it may have moved
}

}  // namespace

std::vector<std::string> check_same_run(const ModelInfo& saved, const ModelInfo& now, const std::string& checkpoint) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(ExitCode::kBadConfig,
                    checkpoint + ": " + what +
                        "; a run goes on with the settings that it began with. Take those, or name "
                        "another --run.dir (train.init_from starts from these weights)");
  };
  std::vector<std::string> changes;
  const auto before = config_values(saved.config), after = config_values(now.config);
  for (size_t i = 0; i < after.size(); ++i) {
    const auto& [key, value] = after[i];
    if (value == before[i].second) continue;
    if (belongs_to_run(key)) refuse(fmt::format("{} is {} here and was {}", key, value, before[i].second));
    if (contains(kOfTheLearning, key)) changes.push_back(fmt::format("{} is {}, was {}", key, value, before[i].second));
  }
  // After the settings: a drawn encoder is another with another train.seed.
  if (saved.encoder_digest.get() != now.encoder_digest.get())
    refuse(fmt::format("was trained on another encoder ({}) than model.encoder = {}", saved.encoder_source,
                       now.encoder_source));
  if (saved.corpus_digest != now.corpus_digest) changes.emplace_back("the corpus was prepared anew since");
  return changes;
}

}  // namespace hyperx::train
