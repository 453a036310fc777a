#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/source/sentence_reader.h"

namespace hyperx::data {

// The flags of `predict` and `score` that say how a file is read: --format, --word, --tag, --comment, --prefix. They
// mean what the options of a manifest's line mean.
std::vector<FlagSpec> column_flags(bool may_be_text);

// How to read `path` ("-": standard input) by these flags; without --format the content determines it. UserError (64):
// a value that a flag does not take.
SourceSpec spec_of_flags(const CommandLine& line, const std::string& path, bool may_be_text);

}  // namespace hyperx::data
