#include "data/tasks/dependencies/complete_tree.h"

#include <algorithm>

namespace hyperx::data {

void complete_tree(const Task& task, std::vector<std::string>& tags) {
  if (tags.empty()) return;
  const auto root =
      std::find_if(tags.begin(), tags.end(), [](const std::string& tag) { return tag.starts_with("0\t"); });
  const auto place = root == tags.end() ? tags.begin() : root;
  if (root == tags.end()) *place = "0\troot";
  for (std::string& tag : tags)
    if (tag == task.no_prediction()) tag = std::to_string(place - tags.begin() + 1) + "\tdep";
}

}  // namespace hyperx::data
