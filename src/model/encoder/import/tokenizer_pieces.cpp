#include "model/encoder/import/tokenizer_pieces.h"

#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "data/tasks/prediction_file.h"
#include "data/tokenizer/unigram/unigram_pieces.h"

namespace hyperx::model {

void check_tokenizer_pieces(const std::string& path, const std::vector<std::string_view>& pieces,
                            const std::string& source) {
  const auto fail = [&](const std::string& what) { throw UserError(ExitCode::kBadData, path + ": " + what); };
  const auto tokenizer = data::read_tokenizer_json(path);
  if (!tokenizer) fail("model.type is not Unigram: not the tokenizer of this encoder");
  if (tokenizer->pieces.size() != pieces.size())
    fail(fmt::format("has {} pieces, {} has {}: the two files do not belong together", tokenizer->pieces.size(), source,
                     pieces.size()));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string& piece = tokenizer->pieces[i].text;
    if (piece != pieces[i])
      fail(fmt::format("piece {} is {}, in {} it is {}: the two files do not belong together", i,
                       data::quote_for_message(piece), source, data::quote_for_message(pieces[i])));
  }
}

}  // namespace hyperx::model
