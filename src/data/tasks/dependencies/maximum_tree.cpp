#include "data/tasks/dependencies/maximum_tree.h"

#include <algorithm>
#include <limits>

namespace hyperx::data {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// A graph of nodes 0 (root) to size - 1; score(d, h): of the edge from head h to dependent d.
struct Graph {
  int32_t size;
  std::vector<double> scores;
  double& score(int32_t dependent, int32_t head) {
    return scores[static_cast<size_t>(dependent) * static_cast<size_t>(size) + static_cast<size_t>(head)];
  }
};

// A cycle among the heads, or none. heads[0] is not used.
std::vector<int32_t> cycle_of(const std::vector<int32_t>& heads) {
  std::vector<int32_t> walk_of(heads.size(), 0);
  for (int32_t start = 1; start < static_cast<int32_t>(heads.size()); ++start) {
    int32_t node = start;
    while (node != 0 && walk_of[static_cast<size_t>(node)] == 0) {
      walk_of[static_cast<size_t>(node)] = start;
      node = heads[static_cast<size_t>(node)];
    }
    if (node == 0 || walk_of[static_cast<size_t>(node)] != start) continue;
    std::vector<int32_t> cycle;
    for (int32_t at = node; cycle.empty() || at != node; at = heads[static_cast<size_t>(at)]) cycle.push_back(at);
    return cycle;
  }
  return {};
}

// Heads of the best tree of any number of words below the root.
std::vector<int32_t> best_tree(Graph& graph) {
  std::vector<int32_t> heads(static_cast<size_t>(graph.size), 0);
  for (int32_t node = 1; node < graph.size; ++node)
    for (int32_t head = 0; head < graph.size; ++head)
      if (head != node && graph.score(node, head) > graph.score(node, heads[static_cast<size_t>(node)]))
        heads[static_cast<size_t>(node)] = head;
  const std::vector<int32_t> cycle = cycle_of(heads);
  if (cycle.empty()) return heads;

  // The cycle becomes the last node of a smaller graph.
  std::vector<char> in_cycle(static_cast<size_t>(graph.size), 0);
  double cycle_score = 0;
  for (const int32_t node : cycle) {
    in_cycle[static_cast<size_t>(node)] = 1;
    cycle_score += graph.score(node, heads[static_cast<size_t>(node)]);
  }
  std::vector<int32_t> kept;  // node of `graph` by node of the smaller one
  for (int32_t node = 0; node < graph.size; ++node)
    if (in_cycle[static_cast<size_t>(node)] == 0) kept.push_back(node);
  const auto small = static_cast<int32_t>(kept.size()) + 1, merged = small - 1;
  Graph contracted{small, std::vector<double>(static_cast<size_t>(small) * static_cast<size_t>(small), kNever)};
  std::vector<int32_t> entered(kept.size(), 0), left(kept.size(), 0);  // node of the cycle, by node outside
  for (int32_t i = 0; i < merged; ++i) {
    const int32_t outside = kept[static_cast<size_t>(i)];
    for (int32_t j = 0; j < merged; ++j) contracted.score(i, j) = graph.score(outside, kept[static_cast<size_t>(j)]);
    for (const int32_t node : cycle) {
      const double into =
          graph.score(node, outside) - graph.score(node, heads[static_cast<size_t>(node)]) + cycle_score;
      if (into > contracted.score(merged, i)) {
        contracted.score(merged, i) = into;
        entered[static_cast<size_t>(i)] = node;
      }
      if (graph.score(outside, node) > contracted.score(i, merged)) {
        contracted.score(i, merged) = graph.score(outside, node);
        left[static_cast<size_t>(i)] = node;
      }
    }
  }
  const std::vector<int32_t> solved = best_tree(contracted);
  for (int32_t i = 1; i < merged; ++i) {
    const int32_t head = solved[static_cast<size_t>(i)];
    heads[static_cast<size_t>(kept[static_cast<size_t>(i)])] =
        head == merged ? left[static_cast<size_t>(i)] : kept[static_cast<size_t>(head)];
  }
  const int32_t from = solved[static_cast<size_t>(merged)];
  heads[static_cast<size_t>(entered[static_cast<size_t>(from)])] = kept[static_cast<size_t>(from)];
  return heads;
}

}  // namespace

std::vector<int32_t> maximum_tree(std::span<const double> scores, int32_t words) {
  if (words == 0) return {};
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  // So large that one edge from the root less outweighs everything else; every tree has one at least.
  const double penalty = (*high - *low + 1) * (words + 1);
  Graph graph{words + 1, std::vector<double>(static_cast<size_t>(words + 1) * static_cast<size_t>(words + 1), kNever)};
  for (int32_t word = 1; word <= words; ++word)
    for (int32_t head = 0; head <= words; ++head)
      if (head != word)
        graph.score(word, head) =
            scores[static_cast<size_t>(word - 1) * static_cast<size_t>(words + 1) + static_cast<size_t>(head)] -
            (head == 0 ? penalty : 0);
  std::vector<int32_t> heads = best_tree(graph);
  heads.erase(heads.begin());
  return heads;
}

}  // namespace hyperx::data
