#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "common/errors.h"
#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

using Tags = std::vector<std::string>;

// Python writes NaN where no type has a score; ours is 0 there.
inline nlohmann::json parse_python_json(std::string text) {
  for (size_t place = text.find("NaN"); place != std::string::npos; place = text.find("NaN", place))
    text.replace(place, 3, "0.0");
  return nlohmann::json::parse(text);
}

// Tag names to numbers, in order of appearance.
class TagNumbers {
 public:
  explicit TagNumbers(Tags names = {}) : names_(std::move(names)) {}
  std::vector<LabelId> operator()(const Tags& tags) {
    std::vector<LabelId> numbers;
    for (const std::string& tag : tags) {
      const auto found = std::find(names_.begin(), names_.end(), tag);
      numbers.push_back(static_cast<LabelId>(found - names_.begin()));
      if (found == names_.end()) names_.push_back(tag);
    }
    return numbers;
  }
  const Tags& names() const { return names_; }

 private:
  Tags names_;
};

}  // namespace hyperx::data
