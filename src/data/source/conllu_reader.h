#pragma once

#include "data/source/source_reader.h"

namespace hyperx::data {

// CoNLL-U: ten columns, with ids n (words), n-m (multiword ranges) and n.k (empty nodes), whose order is checked. With
// spec.read_heads, heads are checked to form a tree with one root unless their column is `_`. With spec.keep_multiword,
// ranges (tagged `_`) and empty nodes are words too, as in the original; they have no head then, and heads is left
// empty.
class ConlluReader : public SourceReader {
 public:
  using SourceReader::SourceReader;

 private:
  bool read(Sentence& sentence) override;
  void at_end() override;
  void add_line(std::string_view line, Sentence& sentence);
  void check_id(std::string_view id);
  void add_word(Sentence& sentence);
  void add_head();
  void finish(Sentence& sentence);
  void check_tree() const;
  [[noreturn]] void fail(const std::string& what) const { lines_.fail(lines_.number(), what); }

  enum class Kind { kWord, kRange, kEmptyNode };

  std::vector<std::string_view> columns_;
  // Of the current sentence:
  Kind kind_ = Kind::kWord;  // of the current line
  int words_ = 0;            // syntactic words so far
  int range_end_ = 0;        // last word of the latest range
  int64_t range_line_ = 0;
  int empty_nodes_ = 0;         // since the last word
  std::vector<int32_t> heads_;  // [words]; -1: `_`
  std::vector<std::string_view> relations_;
  std::vector<int64_t> word_lines_;  // [words]
  // Of the file:
  int64_t bare_forms_ = 0, all_words_ = 0;
};

}  // namespace hyperx::data
