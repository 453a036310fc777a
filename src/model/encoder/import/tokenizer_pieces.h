#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hyperx::model {

// Checks that `json`, the content of a Hugging Face tokenizer.json, has exactly these sub-words in this order. `path`
// names that file in messages, `source` the file with the sub-words. UserError (65): not JSON, no Unigram model,
// another number of sub-words, or one with another text.
void check_tokenizer_pieces(std::string_view json, const std::string& path, const std::vector<std::string_view>& pieces,
                            const std::string& source);

}  // namespace hyperx::model
