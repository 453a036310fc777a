#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/source/sentence_reader.h"
#include "data/tasks/entities/entity_f1.h"
#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

// What a file of predicted tags is worth beside the gold file.
struct FileScores {
  std::string task;
  std::string gold_path, predicted_path;
  int64_t sentences = 0;
  int64_t words = 0;               // of the gold file: all are scored
  int64_t without_prediction = 0;  // pos: predicted tag `_`; these count as wrong
  int64_t correct = 0;
  double accuracy = 0;
  std::vector<std::pair<std::string, Score>> tags;  // by tag, sorted
  Score seqeval;                                    // pos: as the original release scores it (seqeval_pos.h)
  std::optional<EntityScores> entities;             // ner: seqeval's default mode
  std::optional<EntityScores> strict_entities;      // ner: strict IOB2
};

// Scores two files, which must hold the same words in the same sentences; task is pos or ner. Label map and BILOU of a
// spec are applied to its tags. UserError 65: other words, sentences or numbers of either (naming both files and
// lines), a gold word without a tag, a predicted word without one, a tag that is no entity tag (ner); 64: a task or
// format that cannot be scored; 66 as PredictionInput. Holds two bytes a word and tag, not the files.
FileScores score_files(const SourceSpec& gold, const SourceSpec& predicted, const std::string& task);

std::string scores_table(const FileScores& scores);  // for people
std::string scores_json(const FileScores& scores);   // one object, described in docs/file_formats.md

}  // namespace hyperx::data
