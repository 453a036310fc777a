#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace hyperx::data {

// A trie over bytes as a double array (Aoe 1989): each step is one addition and one comparison. It has two roots: one
// for the beginning of a word and one for its continuations (stored without their ##).
class SubWordTrie {
 public:
  struct Entry {
    std::string_view text;  // not empty
    int32_t id;
  };
  struct Match {
    int32_t id = -1;    // -1: no entry matches here
    size_t length = 0;  // bytes
  };

  // Texts must be distinct within each list.
  SubWordTrie(std::vector<Entry> beginnings, std::vector<Entry> continuations);

  // The longest entry that is a prefix of `text`.
  Match longest(std::string_view text, bool continues) const {
    Match match;
    int32_t node = continues ? kContinuation : kBeginning;
    for (size_t i = 0; i < text.size(); ++i) {
      const int32_t next = nodes_[static_cast<size_t>(node)].base + static_cast<unsigned char>(text[i]);
      const Node& child = nodes_[static_cast<size_t>(next)];
      if (child.parent != node) break;
      if (child.id >= 0) match = {child.id, i + 1};
      node = next;
    }
    return match;
  }

 private:
  struct Node {
    int32_t base = 0;     // children are at base + byte
    int32_t parent = -1;  // -1: free
    int32_t id = -1;
  };
  static constexpr int32_t kBeginning = 0, kContinuation = 1;
  class Builder;

  std::vector<Node> nodes_;
};

}  // namespace hyperx::data
