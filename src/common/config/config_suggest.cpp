#include <algorithm>
#include <numeric>

#include "common/config/config.h"

namespace hyperx {
namespace {

// Levenshtein distance, with a swap of two neighbours counted as one edit too; `limit` where it is at least that.
size_t edit_distance(const std::string& a, const std::string& b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) >= limit) return limit;
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), current(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_last[j - 2] + 1);
      }
    }
    // The next rows build on the smallest of these two.
    if (std::min(*std::ranges::min_element(current), *std::ranges::min_element(last)) >= limit) return limit;
    before_last.swap(last);
    last.swap(current);
  }
  return std::min(last[b.size()], limit);
}

std::string after_dot(const std::string& key) {
  const size_t dot = key.find('.');
  return dot == std::string::npos ? key : key.substr(dot + 1);
}

}  // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  // Dashes instead of underscores, and a missing or wrong prefix, do not count as differences.
  std::string plain = word;
  std::replace(plain.begin(), plain.end(), '-', '_');
  for (const std::string& each : known) {
    if (after_dot(each) == after_dot(plain)) return each;
  }
  std::string best;
  size_t best_distance = std::max<size_t>(1, plain.size() / 3) + 1;
  for (const std::string& each : known) {
    const size_t distance =
        std::min({edit_distance(plain, each, best_distance), edit_distance(plain, after_dot(each), best_distance),
                  edit_distance(after_dot(plain), after_dot(each), best_distance) + 1});
    if (distance < best_distance) {
      best_distance = distance;
      best = each;
    }
  }
  return best;
}

}  // namespace hyperx
