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

struct Attachment {
  double uas = 0, las = 0;
};

// Scores of a file of predicted tags against the gold file.
struct FileScores {
  std::string task;
  std::string gold_path, predicted_path;
  int64_t sentences = 0;
  int64_t words = 0;               // of the gold file: all are scored
  int64_t without_prediction = 0;  // tagged with Task::untagged: counted as wrong
  int64_t correct = 0;
  double accuracy = 0;
  std::vector<std::pair<std::string, Score>> tags;  // by tag, sorted
  Score seqeval;                                    // pos: scored as in the original release (seqeval_pos.h)
  std::optional<EntityScores> entities;             // ner: seqeval's default mode
  std::optional<EntityScores> strict_entities;      // ner: strict IOB2
  std::optional<Attachment> attachment;             // dep; `correct` and `tags` are of head and relation together
};

// Scores two files, which must hold the same words in the same sentences. The label map and BILOU of a spec are applied
// to its tags; the task sets where they are. UserError: 65 words or numbers of sentences or words that differ (naming
// both files and lines), a gold word without a tag, a predicted word without one, an impossible tag; 64 a format that
// cannot hold tags of the task; 66 as PredictionInput. Memory: two bytes per word and tag, not the files.
FileScores score_files(const SourceSpec& gold, const SourceSpec& predicted, const Task& task);

// The task that --task names. UserError (64): unknown, or a task without tags.
const Task& scorable_task(const TaskSet& tasks, const std::string& name);

std::string scores_table(const FileScores& scores);  // for people
std::string scores_json(const FileScores& scores);   // one object, described in docs/file_formats.md

}  // namespace hyperx::data
