#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

// The POS score of the original release: seqeval 1.2.2's default mode on bare UPOS tags. The first character of a tag
// acts as the chunk tag (B, I, E, S and O have their usual meaning), the rest as the type (`_` if nothing is left), so
// that neighbours of one type merge: SCONJ and CCONJ are both of type CONJ.
//
// The rules run over all sentences joined, with an `O` after each. An end without a beginning takes the last beginning,
// however far back. The sentences must therefore be added in the order of the file, to one scorer: ranks that share a
// file gather their label sequences in that order, and one rank adds them all. Counts of several scorers cannot be
// summed.
class SeqevalPosScorer {
 public:
  explicit SeqevalPosScorer(const std::vector<std::string>& labels);

  // The next sentence. Equal lengths; gold in [0, labels), predicted in [-1, labels): no prediction is read as the tag
  // `_`.
  void add(std::span<const LabelId> gold, std::span<const LabelId> predicted);

  Score overall() const;                       // micro-averaged
  std::map<std::string, Score> types() const;  // those that occur in gold or prediction

 private:
  struct Tag {
    char chunk = 'O';  // B, I, E, S, O, or `.`, or `x` for any other character: the rules distinguish only these
    int type = -1;
  };
  struct Chunk {
    int type = -1;
    int64_t first = 0;
    bool operator==(const Chunk&) const = default;
  };
  // The position in one of the two label sequences.
  struct Walker {
    Tag before;
    int64_t first = 0;                                // where the last chunk began
    bool step(Tag tag, int64_t place, Chunk& ended);  // true: a chunk ended before `place`
  };
  int type_index(const std::string& type);
  void step(Tag gold, Tag predicted);

  std::vector<Tag> tags_;            // [labels]
  std::vector<std::string> types_;   // in order of appearance
  std::vector<MatchCounts> counts_;  // [types]
  Tag outside_, missing_;
  Walker gold_, predicted_;
  int64_t place_ = 0;  // in the joined sequence
};

}  // namespace hyperx::data
