#pragma once

#include "data/source/source_reader.h"

namespace hyperx::data {

// One word per line, a blank line between sentences. Columns are separated by tabs. A line without a tab is split at
// spaces, of which only the last one counts unless columns are named. If tags are not read, a line may hold only the
// word.
class TaggedReader : public SourceReader {
 public:
  using SourceReader::SourceReader;

 private:
  bool read(Sentence& sentence) override;
  void add_word(std::string_view line, Sentence& sentence);
  void cut(std::string_view line);  // fills columns_
  std::string_view column(int number, size_t otherwise, const char* what) const;

  std::vector<std::string_view> columns_;
};

}  // namespace hyperx::data
