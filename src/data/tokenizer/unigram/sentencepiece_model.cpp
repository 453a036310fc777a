#include <spdlog/fmt/fmt.h>

#include <bit>
#include <stdexcept>

#include "common/errors.h"
#include "common/files.h"
#include "data/tokenizer/unigram/proto_bytes.h"
#include "data/tokenizer/unigram/unigram_pieces.h"

namespace hyperx::data {
namespace {

constexpr size_t kOwnPieces = 3;  // <unk> <s> </s>, with which the file begins
constexpr const char* kFirst[] = {"<s>", "<pad>", "</s>", "<unk>"};
constexpr int32_t kUnknown = 3;
constexpr uint64_t kUnigramType = 1;

struct File {
  std::vector<UnigramPieces::Piece> pieces;
  uint64_t type = kUnigramType;
  std::string normalization_map;
};

File read(std::string_view bytes) {
  File file;
  read_proto(bytes, [&](const ProtoField& field) {
    if (field.number == 1) {
      UnigramPieces::Piece piece;
      read_proto(field.bytes, [&](const ProtoField& part) {
        if (part.number == 1) piece.text = part.bytes;
        if (part.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(part.value));
      });
      file.pieces.push_back(std::move(piece));
    } else if (field.number == 2) {
      read_proto(field.bytes, [&](const ProtoField& part) {
        if (part.number == 3) file.type = part.value;
      });
    } else if (field.number == 3) {
      read_proto(field.bytes, [&](const ProtoField& part) {
        if (part.number == 2) file.normalization_map = part.bytes;
      });
    }
  });
  return file;
}

}  // namespace

UnigramPieces read_sentencepiece_model(const std::string& path) {
  const MappedFile bytes(path);
  UnigramPieces pieces;
  try {
    File file = read(bytes.view());
    if (file.type != kUnigramType) throw std::runtime_error("trainer_spec.model_type is not Unigram");
    if (file.pieces.size() <= kOwnPieces || file.pieces[0].text != "<unk>")
      throw std::runtime_error("pieces do not begin with <unk> <s> </s>, as those of XLM-R do");
    const auto add_special = [&](const std::string& text) {
      pieces.written.push_back({text, static_cast<int32_t>(pieces.pieces.size()), text == "<mask>", false});
      pieces.pieces.push_back({text, 0, true});
    };
    for (const char* text : kFirst) add_special(text);
    pieces.pieces.insert(pieces.pieces.end(), file.pieces.begin() + kOwnPieces, file.pieces.end());
    add_special("<mask>");
    pieces.normalization_map_bytes = std::move(file.normalization_map);
    if (!pieces.normalization_map_bytes.empty()) {
      try {
        pieces.normalization_map = NormalizationMap(pieces.normalization_map_bytes);
      } catch (const std::runtime_error& error) {
        throw std::runtime_error(std::string("normalizer_spec.precompiled_charsmap ") + error.what());
      }
    }
  } catch (const std::runtime_error& error) {
    throw UserError(ExitCode::kBadData, fmt::format("{}: {}: fetch the file again", path, error.what()));
  }
  pieces.unknown = kUnknown;
  pieces.splits_at_white_space = true;
  return pieces;
}

}  // namespace hyperx::data
