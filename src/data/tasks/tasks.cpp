#include <vector>

#include "data/tasks/dependencies/dep_options.h"
#include "data/tasks/dependencies/dependencies.h"
#include "data/tasks/entities/entities.h"
#include "data/tasks/masked_words/masked_words.h"
#include "data/tasks/tagging/pos_options.h"
#include "data/tasks/tagging/tagging.h"
#include "data/tasks/task.h"

namespace hyperx::data {
namespace {

template <class T>
std::shared_ptr<const Task> make(const std::string& name, std::vector<std::string> labels, const Sections& options) {
  if constexpr (std::is_constructible_v<T, std::string, std::vector<std::string>, Sections>)
    return std::make_shared<T>(name, std::move(labels), options);
  else
    return std::make_shared<T>(name, std::move(labels));
}

}  // namespace

std::span<const TaskRow> task_rows() {
  static const std::vector<TaskRow> rows = {
      {"pos", universal_tags(), make<Tagging>, add_pos_options, {pos_corpus_option()}},
      {"ner", {"O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"}, make<Entities>},
      {"mlm", {}, make<MaskedWords>},
      {"dep", universal_relations(), make<Dependencies>, add_dep_options},
  };
  return rows;
}

void add_task_options(config::Schema& schema) {
  for (const TaskRow& row : task_rows())
    if (row.add_options != nullptr) row.add_options(schema);
}

}  // namespace hyperx::data
