#pragma once

#include <string>
#include <vector>

namespace hyperx::model {

// Codes of the languages that an encoder has read, sorted: the rows of configs/languages/encoders.tsv with a 1 in that
// column. The table is part of the program, which may run without the folder configs/.
std::vector<std::string> encoder_languages(const std::string& column);

}  // namespace hyperx::model
