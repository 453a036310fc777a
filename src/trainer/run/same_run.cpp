#include "trainer/run/same_run.h"

#include <fmt/format.h>

#include "common/errors.h"
#include "model/options.h"

namespace hyperx::train {
std::vector<std::string> check_same_run(const ModelInfo& saved, const ModelInfo& now, const std::string& checkpoint) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(ExitCode::kBadConfig, checkpoint + ": " + what +
                                              "; a run continues with the settings it began with. Use those, or name "
                                              "another --run.dir (train.init_from starts from these weights)");
  };
  std::vector<std::string> changes;
  for (const config::Option& option : model::options().options) {
    const std::string before = option.get(saved.config), here = option.get(now.config);
    if (here == before) continue;
    if (option.resume == config::Resume::kFixed)
      refuse(fmt::format("{} is {} here and was {}", option.key, here, before));
    if (option.resume == config::Resume::kLogged)
      changes.push_back(fmt::format("{} is {}, was {}", option.key, here, before));
  }
  // After the settings: with random weights, another train.seed gives another encoder.
  if (saved.encoder_digest.get() != now.encoder_digest.get())
    refuse(fmt::format("was trained on another encoder ({}) than model.encoder = {}", saved.encoder_source,
                       now.encoder_source));
  require_same_needed(saved, now.needed);
  if (saved.corpus_digest != now.corpus_digest) changes.emplace_back("the corpus was prepared again since");
  return changes;
}

}  // namespace hyperx::train
