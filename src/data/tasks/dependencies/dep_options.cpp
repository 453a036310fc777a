#include "data/tasks/dependencies/dep_options.h"

#include "common/config/make_option.h"

namespace hyperx::data {

void add_dep_options(config::Schema& schema) {
  schema.options.push_back(config::option(
      &DepOptions::zero_candidates, "dep.zero_candidates",
      "training: rows of padding, with a score of 0, that compete with the words of a sentence for being a head, up to "
      "so many rows in all (the original: its maximum length); 0: none",
      config::at_least(0), config::Resume::kFixed, "train."));
}

}  // namespace hyperx::data
