#include "data/tokenizer/tokenizer.h"

#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "data/tokenizer/unigram/unigram.h"
#include "data/tokenizer/word_piece.h"

namespace hyperx::data {
namespace {

struct Kind {
  const char* file;                                                     // that identifies it
  std::unique_ptr<const Tokenizer> (*find)(const std::string& folder);  // nullptr: the folder is of another kind
};

// The first kind that finds its files in the folder is used.
constexpr Kind kKinds[] = {
    {WordPiece::kFile, WordPiece::find},
    {Unigram::kFiles, Unigram::find},
};

}  // namespace

std::unique_ptr<const Tokenizer> Tokenizer::load(const std::string& folder) {
  std::string files;
  for (const Kind& kind : kKinds) {
    if (auto tokenizer = kind.find(folder)) return tokenizer;
    files += fmt::format("{}{}", files.empty() ? "" : ", ", kind.file);
  }
  throw UserError(ExitCode::kNoInput,
                  fmt::format("{}: no vocabulary there, looked for {}: name the folder of an encoder", folder, files));
}

std::string resolved_label_position(const std::string& option, const Tokenizer& tokenizer) {
  return option != "auto" ? option : tokenizer.blank() >= 0 ? "after-blank" : "first";
}

size_t label_place(std::span<const int32_t> ids, const Tokenizer& tokenizer, const std::string& position) {
  if (position != "after-blank") return 0;
  size_t place = 0;
  while (place + 1 < ids.size() && ids[place] == tokenizer.blank()) ++place;
  return ids[place] == tokenizer.blank() ? 0 : place;
}

}  // namespace hyperx::data
