#pragma once

#include "data/tasks/tagging/pos_options.h"
#include "data/tasks/task_set.h"

namespace hyperx::data {

// A task of this version, with its declared labels.
inline const Task& known_task(const std::string& name) {
  static const TaskSet tasks = TaskSet::all();
  return tasks.at(name);
}

// Options with pos.multiword.
inline Sections with_multiword(const std::string& value) {
  Sections options;
  options.edit<PosOptions>().multiword = value;
  return options;
}

}  // namespace hyperx::data
