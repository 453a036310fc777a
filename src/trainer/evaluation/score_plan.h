#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tasks/pair.h"

namespace hyperx::train {

// One score to compute: of a checkpoint on a pair and split.
struct Score {
  std::string checkpoint;  // folder
  std::string split;
  data::Pair pair;
  int64_t tokens = 0;  // sub-words of the split: what it costs
  bool operator==(const Score&) const = default;
};

// Who computes which scores.
struct ScorePlan {
  std::vector<Score> shared;              // by all ranks together, batch by batch
  std::vector<std::vector<Score>> whole;  // [ranks] by one rank alone
};

// Fewer scores than ranks: all are shared. Otherwise each goes whole to the rank with the least work, longest first,
// but for those so long that the others would wait for them, which are shared. The same on all ranks.
ScorePlan share_out(std::vector<Score> scores, int ranks);

// As one text, to be sent between ranks.
std::string scores_to_text(const std::vector<Score>& scores);
std::vector<Score> scores_from_text(const std::string& text);

}  // namespace hyperx::train
