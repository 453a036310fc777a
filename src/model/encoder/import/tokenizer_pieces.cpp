#include "model/encoder/import/tokenizer_pieces.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "data/tasks/prediction_file.h"

namespace hyperx::model {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw UserError(ExitCode::kBadData, path + ": " + what);
}

json parse(std::string_view text, const std::string& path) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {  // its own text may quote a string of any length
    fail(path, fmt::format("is not JSON from byte {} on: fetch it again", error.byte));
  } catch (const json::exception& error) {
    fail(path, std::string("is not JSON: ") + error.what());
  }
}

// object[key], or null.
json member(json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return nullptr;
  return std::move(object[key]);
}

}  // namespace

void check_tokenizer_pieces(std::string_view text, const std::string& path, const std::vector<std::string_view>& pieces,
                            const std::string& source) {
  json tokenizer = parse(text, path);
  json model = member(tokenizer, "model");
  if (member(model, "type") != "Unigram")
    fail(path, "'model.type' is not \"Unigram\": not the tokenizer of this encoder");
  const json vocabulary = member(model, "vocab");
  if (!vocabulary.is_array()) fail(path, "'model.vocab' is not a list");
  if (vocabulary.size() != pieces.size())
    fail(path, fmt::format("'model.vocab' has {} pieces, {} has {}: the two files do not belong together",
                           vocabulary.size(), source, pieces.size()));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const json& entry = vocabulary[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string())
      fail(path, fmt::format("'model.vocab[{}]' is not a pair of text and score", i));
    const auto& piece = entry[0].get_ref<const std::string&>();
    if (piece != pieces[i])
      fail(path, fmt::format("piece {} is {}, in {} it is {}: the two files do not belong together", i,
                             data::quote_for_message(piece), source, data::quote_for_message(pieces[i])));
  }
}

}  // namespace hyperx::model
