#pragma once

#include "data/source/source_reader.h"
#include "data/source/tagged_columns.h"

namespace hyperx::data {

// One word per line (tagged_columns.h), a blank line between sentences. If tags are not read, a line may hold only the
// word.
class TaggedReader : public SourceReader {
 public:
  TaggedReader(const SourceSpec& spec, const Task& task)
      : SourceReader(spec, task), columns_(spec_, spec_.path, !spec_.read_tags) {}

 private:
  bool read(Sentence& sentence) override;
  void at_end() override { columns_.report_comments(); }

  TaggedColumns columns_;
};

}  // namespace hyperx::data
