#pragma once

#include "data/source/source_reader.h"

namespace hyperx::data {

// One sentence per line; lines of white space are skipped.
class TextReader : public SourceReader {
 public:
  using SourceReader::SourceReader;

 private:
  bool read(Sentence& sentence) override;
};

}  // namespace hyperx::data
