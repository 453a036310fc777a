#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

// How tags become entities, both modes as in seqeval 1.2.2.
enum class EntityMode {
  kDefault,  // as conlleval: an I that cannot continue an entity begins one
  kStrict,   // strict IOB2: only B begins one, and an I that cannot continue one belongs to none
};

struct Entity {
  int type = 0;             // index into EntityScorer::types()
  int first = 0, last = 0;  // word indices in the sentence, both inclusive

  bool operator==(const Entity&) const = default;
};

// O, B-TYPE or I-TYPE.
bool is_entity_tag(const std::string& tag);

// An entity is correct when its type, first word and last word are.
struct EntityScores {
  std::map<std::string, MatchCounts> counts;  // types that occur in gold or prediction
  std::map<std::string, Score> types;         // the same
  Score micro;                                // of the summed counts: the main score
  Score macro;                                // mean over the types
  Score weighted;                             // mean over the types, weighted by support
};

// Entity precision, recall and F1.
class EntityScorer {
 public:
  // Labels are O, B-TYPE and I-TYPE in any order. UserError (65) naming any other label.
  explicit EntityScorer(const std::vector<std::string>& labels);

  // One sentence. Equal lengths; gold in [0, labels), predicted in [-1, labels): a word without a prediction counts as
  // O.
  void add(std::span<const LabelId> gold, std::span<const LabelId> predicted);

  EntityScores default_scores() const { return scores(EntityMode::kDefault); }
  EntityScores strict_scores() const { return scores(EntityMode::kStrict); }
  EntityScores scores(EntityMode mode) const;
  MatchCounts total(EntityMode mode) const;  // over all types

  // The entities of one sentence, in order.
  std::vector<Entity> entities(std::span<const LabelId> labels, EntityMode mode) const;
  const std::vector<std::string>& types() const { return types_; }

 private:
  struct Tag {
    char prefix = 'O';  // O, B, I
    int type = -1;
  };
  Tag tag_of(LabelId label) const;
  void find_entities(std::span<const LabelId> labels, EntityMode mode, std::vector<Entity>& found) const;
  int64_t* counts_of(EntityMode mode, int type);

  std::vector<Tag> tags_;                 // [labels]
  std::vector<std::string> types_;        // sorted
  std::vector<int64_t> counts_;           // [2 modes x types x (gold, predicted, correct)]
  std::vector<Entity> gold_, predicted_;  // scratch of add()
};

}  // namespace hyperx::data
