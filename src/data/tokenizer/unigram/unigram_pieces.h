#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer/unigram/normalization_map.h"

namespace hyperx::data {

// A special token as it may be written in a text.
struct WrittenToken {
  std::string text;
  int32_t id = 0;
  bool strips_left = false, strips_right = false;  // takes the blanks beside it along
};

// What a Unigram tokenizer is made of. Ids are places in `pieces`.
struct UnigramPieces {
  struct Piece {
    std::string text;
    float score = 0;       // log probability
    bool special = false;  // never a part of a word
  };
  std::vector<Piece> pieces;
  std::vector<WrittenToken> written;
  int32_t unknown = 0;
  std::string normalization_map_bytes;
  NormalizationMap normalization_map;
  // Words are what stands between white space, so that blanks at both ends vanish; otherwise a blank at the end of a
  // text is a word of its own.
  bool splits_at_white_space = false;
};

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr const char* kSentencePieceModel = "sentencepiece.bpe.model";

// Both throw UserError (65) naming the file and the key: not readable, a piece that is empty or repeated, a score that
// is no number, a map that leads outside of itself, or a step that we do not know.
// Hugging Face's tokenizer.json; nothing where its model is of another type than Unigram.
std::optional<UnigramPieces> read_tokenizer_json(const std::string& path);
// SentencePiece's model with the ids of fairseq: <s> <pad> </s> <unk>, then the pieces of the file from its fourth on,
// then <mask>.
UnigramPieces read_sentencepiece_model(const std::string& path);

}  // namespace hyperx::data
