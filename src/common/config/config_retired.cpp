#include <algorithm>

#include "common/config/config_table.h"

namespace hyperx::config {

const RetiredKey* find_retired_key(std::string_view key) {
  static const std::vector<RetiredKey> keys = {
      {"train.generator_gradient", "", "parallel.exchange = dense computes and sends dense gradients"},
  };
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const RetiredKey& each) { return each.key == key; });
  return found == keys.end() ? nullptr : &*found;
}

}  // namespace hyperx::config
