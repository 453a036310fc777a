#include "data/tokenizer/sub_word_trie.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <utility>

namespace hyperx::data {
namespace {
constexpr int32_t kAlphabet = 256;
constexpr int32_t kNoNode = std::numeric_limits<int32_t>::max();  // parent of a root: not free, and a child of no node
constexpr int kTries = 64;  // free slots tried for a node with several children before the array grows
}  // namespace

// Fills the array breadth-first. Free slots form a ring, so that a node with one child (as most have) finds a slot at
// once.
class SubWordTrie::Builder {
 public:
  explicit Builder(std::vector<Node>& nodes) : nodes_(nodes) {
    grow(2 * kAlphabet);
    take(kBeginning, kNoNode);
    take(kContinuation, kNoNode);
  }

  void add(int32_t root, std::vector<Entry> entries) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
    std::deque<Range> queue = {{root, 0, entries.size(), 0}};
    while (!queue.empty()) {
      const Range range = queue.front();
      queue.pop_front();
      place_children(range, entries, queue);
    }
  }

  void finish() {
    nodes_.resize(last_taken_ + 1 + kAlphabet);  // base + byte is always inside
    nodes_.shrink_to_fit();
  }

 private:
  struct Range {  // entries [begin, end) share their first `depth` bytes, which lead to `node`
    int32_t node;
    size_t begin, end, depth;
  };

  void place_children(Range range, const std::vector<Entry>& entries, std::deque<Range>& queue) {
    size_t i = range.begin;
    if (i < range.end && entries[i].text.size() == range.depth)
      nodes_[static_cast<size_t>(range.node)].id = entries[i++].id;
    children_.clear();
    starts_.clear();
    for (; i < range.end; ++i) {
      const auto byte = static_cast<unsigned char>(entries[i].text[range.depth]);
      if (!children_.empty() && children_.back() == byte) continue;
      children_.push_back(byte);
      starts_.push_back(i);
    }
    if (children_.empty()) return;
    starts_.push_back(range.end);
    const int32_t base = find_base();
    nodes_[static_cast<size_t>(range.node)].base = base;
    for (size_t c = 0; c < children_.size(); ++c) {
      take(base + children_[c], range.node);
      queue.push_back({base + children_[c], starts_[c], starts_[c + 1], range.depth + 1});
    }
  }

  // A base at which every child's slot is free.
  int32_t find_base() {
    int32_t slot = next_free_[kHead];
    for (int tries = 0; slot != kHead && tries < kTries; ++tries, slot = next_free_[static_cast<size_t>(slot)]) {
      const int32_t base = slot - children_.front();
      if (base < 0) continue;
      while (static_cast<size_t>(base + kAlphabet) > nodes_.size()) grow(nodes_.size() * 2);
      const bool fits = std::all_of(children_.begin(), children_.end(),
                                    [&](int32_t byte) { return nodes_[static_cast<size_t>(base + byte)].parent < 0; });
      if (fits) return base;
    }
    const auto base = static_cast<int32_t>(last_taken_) + 1;
    while (static_cast<size_t>(base + kAlphabet) > nodes_.size()) grow(nodes_.size() * 2);
    return base;
  }

  // Slot 0 is the first root and never free: it is the head of the ring.
  void grow(size_t size) {
    const size_t old = nodes_.size();
    nodes_.resize(size);
    next_free_.resize(size);
    previous_free_.resize(size);
    for (size_t slot = old; slot < size; ++slot) {
      const auto number = static_cast<int32_t>(slot);
      previous_free_[slot] = slot == 0 ? kHead : previous_free_[kHead];
      next_free_[slot] = kHead;
      if (slot > 0) next_free_[static_cast<size_t>(previous_free_[slot])] = number;
      previous_free_[kHead] = number;
    }
  }

  void take(int32_t slot, int32_t parent) {
    const auto at = static_cast<size_t>(slot);
    nodes_[at].parent = parent;
    last_taken_ = std::max(last_taken_, at);
    if (slot == kHead) return;
    next_free_[static_cast<size_t>(previous_free_[at])] = next_free_[at];
    previous_free_[static_cast<size_t>(next_free_[at])] = previous_free_[at];
  }

  static constexpr int32_t kHead = kBeginning;
  std::vector<Node>& nodes_;
  std::vector<int32_t> next_free_, previous_free_;
  std::vector<int32_t> children_;
  std::vector<size_t> starts_;
  size_t last_taken_ = 0;
};

SubWordTrie::SubWordTrie(std::vector<Entry> beginnings, std::vector<Entry> continuations) {
  Builder builder(nodes_);
  builder.add(kBeginning, std::move(beginnings));
  builder.add(kContinuation, std::move(continuations));
  builder.finish();
}

}  // namespace hyperx::data
