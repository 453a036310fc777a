#pragma once

#include <string>
#include <vector>

#include "data/tasks/task.h"

namespace hyperx::data {

// Tags of a sentence of a task of trees, of which some may be no prediction: these words are hung on the root's word
// (or, if there is none, the first word becomes the root), with the relation `dep`, so that the sentence is a tree.
void complete_tree(const Task& task, std::vector<std::string>& tags);

}  // namespace hyperx::data
