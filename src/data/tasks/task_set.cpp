#include "data/tasks/task_set.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/json.h"

namespace hyperx::data {
namespace {

const TaskRow* find_row(const std::string& name) {
  const auto rows = task_rows();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const TaskRow& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

std::string known_names() { return fmt::format("{}", fmt::join(TaskSet::all().names(), ", ")); }

const TaskRow& row_of(const std::string& name) {
  const TaskRow* const row = find_row(name);
  if (row == nullptr)
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("unknown task, value '{}': this version knows {}", name, known_names()));
  return *row;
}

void require_known(const std::string& name, const std::string& origin) {
  if (find_row(name) != nullptr) return;
  throw UserError(ExitCode::kBadData,
                  fmt::format("{}: holds the task '{}', which this version does not know; it knows {}. Use the version "
                              "that wrote the file",
                              origin, name, known_names()));
}

// Refuses labels that no task of this name can have.
std::vector<std::string> checked_labels(const std::vector<std::string>& labels, const std::string& name,
                                        const std::string& origin) {
  std::vector<std::string> sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  const bool has_labels = !find_row(name)->labels.empty();
  if (labels.empty() == has_labels || (has_labels && sorted.front().empty()))
    throw UserError(ExitCode::kBadData, fmt::format("{}: the task {} should have {}", origin, name,
                                                    has_labels ? "labels, none empty" : "no labels"));
  if (twice == sorted.end()) return labels;
  throw UserError(ExitCode::kBadData, fmt::format("{}: the task {} has the label '{}' twice", origin, name, *twice));
}

}  // namespace

std::optional<LabelId> Task::label_of(std::string_view tag) const {
  const auto found = std::find(labels_.begin(), labels_.end(), tag);
  if (found == labels_.end()) return std::nullopt;
  return static_cast<LabelId>(found - labels_.begin());
}

std::string formats_of(const Task& task) {
  std::vector<std::string> names;
  for (const SourceFormat format : kSourceFormats)
    if (task.reads(format)) names.push_back(name_of(format));
  return fmt::format("{}", fmt::join(names, " or "));
}

TaskSet TaskSet::all(const Sections& options) {
  TaskSet set;
  for (const TaskRow& row : task_rows()) set.tasks_.push_back(row.make(row.name, row.labels, options));
  return set;
}

TaskSet TaskSet::of(const std::vector<std::string>& names, const Sections& options) {
  TaskSet set;
  for (const std::string& name : names) set.add(name, row_of(name).labels, options);
  return set;
}

TaskSet TaskSet::of_labels(const std::map<std::string, std::vector<std::string>>& labels, const Sections& options,
                           const std::string& origin) {
  TaskSet set;
  for (const auto& [name, of_task] : labels) {
    require_known(name, origin);
    set.add(name, checked_labels(of_task, name, origin), options);
  }
  return set;
}

TaskSet TaskSet::from_json(const nlohmann::json& array, const std::string& origin) {
  TaskSet set;
  for (const JsonValue& task : JsonValue(origin, array, "tasks").items()) {
    const std::string name = task["name"].text();
    require_known(name, origin);
    if (set.find(name) != nullptr) task.fail("is the task '" + name + "', which is there twice");
    set.add(name, checked_labels(task["labels"].texts(), name, origin));
  }
  return set;
}

nlohmann::json TaskSet::to_json() const {
  nlohmann::json array = nlohmann::json::array();
  for (const auto& task : tasks_)
    array.push_back({{"name", task->name()}, {"labels", task->labels()}, {"masked", task->masked()}});
  return array;
}

void TaskSet::add(const std::string& name, std::vector<std::string> labels, const Sections& options) {
  tasks_.push_back(row_of(name).make(name, std::move(labels), options));
}

const Task& TaskSet::at(const std::string& name) const {
  const Task* const task = find(name);
  if (task == nullptr)
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("unknown task, value '{}': there are {}", name, fmt::join(names(), ", ")));
  return *task;
}

std::shared_ptr<const Task> TaskSet::shared(const std::string& name) const {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& task) { return task->name() == name; });
  return found == tasks_.end() ? nullptr : *found;
}

const Task* TaskSet::find(const std::string& name) const { return shared(name).get(); }

TaskSet TaskSet::only(const std::vector<std::string>& names) const {
  TaskSet set;
  for (const std::string& name : names) {
    at(name);  // throws if it is missing
    set.tasks_.push_back(shared(name));
  }
  return set;
}

std::vector<std::string> TaskSet::names() const {
  std::vector<std::string> names;
  for (const auto& task : tasks_) names.push_back(task->name());
  return names;
}

}  // namespace hyperx::data
