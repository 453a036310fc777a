#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/tasks/task.h"

namespace hyperx::data {

// The tasks of one corpus or one model, by name.
class TaskSet {
 public:
  // Every task of this version, with its declared labels.
  static TaskSet all(const Sections& options = {});
  // These tasks, in this order. UserError (78): a name that this version does not know.
  static TaskSet of(const std::vector<std::string>& names, const Sections& options = {});
  // The tasks of a corpus's index. UserError (65) naming `origin`: a name that this version does not know.
  static TaskSet of_labels(const std::map<std::string, std::vector<std::string>>& labels, const Sections& options,
                           const std::string& origin);
  // The tasks of a checkpoint, as to_json() writes them. UserError (65) as of_labels(), or of another form.
  static TaskSet from_json(const nlohmann::json& array, const std::string& origin);
  nlohmann::json to_json() const;

  // Adds a task with these labels in place of the declared ones.
  void add(const std::string& name, std::vector<std::string> labels, const Sections& options = {});

  const Task& at(const std::string& name) const;    // UserError (78), listing the tasks of the set
  const Task* find(const std::string& name) const;  // nullptr: not in the set
  TaskSet only(const std::vector<std::string>& names) const;
  std::vector<std::string> names() const;
  bool empty() const { return tasks_.empty(); }
  size_t size() const { return tasks_.size(); }
  auto begin() const { return tasks_.begin(); }
  auto end() const { return tasks_.end(); }

 private:
  std::shared_ptr<const Task> shared(const std::string& name) const;

  std::vector<std::shared_ptr<const Task>> tasks_;  // shared by the copies of a set: a task never changes
};

}  // namespace hyperx::data
