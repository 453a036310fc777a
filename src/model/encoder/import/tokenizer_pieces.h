#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hyperx::model {

// Checks that the tokenizer.json at `path` has exactly these sub-words in this order; `source` names the file with the
// sub-words. UserError: 66 it cannot be read; 65 not a Unigram tokenizer, another number of sub-words, or one with
// another text.
void check_tokenizer_pieces(const std::string& path, const std::vector<std::string_view>& pieces,
                            const std::string& source);

}  // namespace hyperx::model
