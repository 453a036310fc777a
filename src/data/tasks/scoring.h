#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/source/sentence_reader.h"
#include "data/tasks/entities/entity_f1.h"
#include "data/tasks/scoring_counts.h"
#include "data/tasks/task_set.h"

namespace hyperx::data {

// What a file of predicted tags is worth beside the gold file.
struct FileScores {
  std::string task;
  std::string gold_path, predicted_path;
  int64_t sentences = 0;
  int64_t words = 0;               // of the gold file: all are scored
  int64_t without_prediction = 0;  // Task::untagged; these count as wrong
  int64_t correct = 0;
  double accuracy = 0;
  std::vector<std::pair<std::string, Score>> tags;  // by tag, sorted
  Score seqeval;                                    // pos: as the original release scores it (seqeval_pos.h)
  std::optional<EntityScores> entities;             // ner: seqeval's default mode
  std::optional<EntityScores> strict_entities;      // ner: strict IOB2
};

// Scores two files, which must hold the same words in the same sentences. Label map and BILOU of a spec are applied to
// its tags, whose place the task knows. UserError 65: other words, sentences or numbers of either (naming both files
// and lines), a gold word without a tag, a predicted word without one, a tag that cannot be one of the task; 64: a
// format that does not hold tags of the task; 66 as PredictionInput. Holds two bytes a word and tag, not the files.
FileScores score_files(const SourceSpec& gold, const SourceSpec& predicted, const Task& task);

// The task that --task names. UserError (64): unknown, or without tags to be scored.
const Task& scorable_task(const TaskSet& tasks, const std::string& name);

std::string scores_table(const FileScores& scores);  // for people
std::string scores_json(const FileScores& scores);   // one object, described in docs/file_formats.md

}  // namespace hyperx::data
