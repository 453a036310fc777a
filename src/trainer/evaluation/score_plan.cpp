#include "trainer/evaluation/score_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/json.h"

namespace hyperx::train {

ScorePlan share_out(std::vector<Score> scores, int ranks) {
  ScorePlan plan;
  plan.whole.resize(static_cast<size_t>(ranks));
  if (std::ssize(scores) < ranks) {
    plan.shared = std::move(scores);
    return plan;
  }
  std::stable_sort(scores.begin(), scores.end(), [](const Score& a, const Score& b) { return a.tokens > b.tokens; });
  int64_t left = 0;
  for (const Score& score : scores) left += score.tokens;
  auto next = scores.begin();
  for (; ranks > 1 && next != scores.end() && next->tokens > left / ranks; ++next) {
    left -= next->tokens;
    plan.shared.push_back(std::move(*next));
  }
  std::vector<int64_t> work(static_cast<size_t>(ranks));
  for (; next != scores.end(); ++next) {
    const auto rank = static_cast<size_t>(std::min_element(work.begin(), work.end()) - work.begin());
    work[rank] += std::max<int64_t>(next->tokens, 1);
    plan.whole[rank].push_back(std::move(*next));
  }
  // A rank loads each of its checkpoints once.
  for (std::vector<Score>& own : plan.whole)
    std::stable_sort(own.begin(), own.end(),
                     [](const Score& a, const Score& b) { return a.checkpoint < b.checkpoint; });
  return plan;
}

std::string scores_to_text(const std::vector<Score>& scores) {
  nlohmann::json list = nlohmann::json::array();
  for (const Score& score : scores) list.push_back({score.checkpoint, score.split, score.pair.name(), score.tokens});
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<Score> scores_from_text(const std::string& text) {
  std::vector<Score> scores;
  for (const nlohmann::json& row : parse_json(text, "list of scores"))
    scores.push_back({row.at(0).get<std::string>(), row.at(1).get<std::string>(),
                      data::parse_pair(row.at(2).get<std::string>()), row.at(3).get<int64_t>()});
  return scores;
}

}  // namespace hyperx::train
