#include "data/tokenizer/unigram/unigram.h"

#include <sentencepiece_processor.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <mutex>
#include <unordered_map>

#include "common/digest.h"
#include "common/errors.h"
#include "common/read_error.h"
#include "data/tokenizer/unigram/proto_bytes.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr std::string_view kBlank = "\u2581";  // stands for a blank

// The model as SentencePiece reads it. We normalise ourselves: its own reading of the character map checks no offsets,
// and differs from Hugging Face's.
std::string serialized(const UnigramPieces& pieces) {
  constexpr uint64_t kUnigram = 1, kUnknownType = 2, kControlType = 3;
  ProtoWriter model;
  for (size_t id = 0; id < pieces.pieces.size(); ++id) {
    const UnigramPieces::Piece& piece = pieces.pieces[id];
    ProtoWriter row;
    row.bytes(1, piece.text).number(2, piece.score);
    if (piece.special) row.integer(3, static_cast<int32_t>(id) == pieces.unknown ? kUnknownType : kControlType);
    model.bytes(1, row.text());
  }
  model.bytes(2, ProtoWriter().integer(3, kUnigram).text());
  model.bytes(3, ProtoWriter().bytes(1, "identity").integer(3, 0).integer(4, 0).integer(5, 0).text());
  return model.text();
}

std::string digest_of(const UnigramPieces& pieces) {
  Sha256 digest;
  digest.update(fmt::format("unigram 1\nunknown {}\nwhite space {}\nmap {}\n", pieces.unknown,
                            pieces.splits_at_white_space, sha256_hex(pieces.normalization_map_bytes)));
  for (const WrittenToken& token : pieces.written)
    digest.update(fmt::format("{} {} {} {}\n", token.id, token.strips_left, token.strips_right, token.text));
  for (const UnigramPieces::Piece& piece : pieces.pieces)
    digest.update(fmt::format("{} {} {}\n", piece.text, piece.score, piece.special));
  return digest.hex();
}

}  // namespace

struct Unigram::State {
  State(UnigramPieces chosen, std::string file_name) : pieces(std::move(chosen)), name(std::move(file_name)) {
    std::unordered_map<std::string_view, int32_t> ids;
    for (size_t id = 0; id < pieces.pieces.size(); ++id) {
      const UnigramPieces::Piece& piece = pieces.pieces[id];
      if (piece.text.empty() || piece.text.find('\0') != std::string::npos) fail(id, "is empty or holds a zero byte");
      if (find_invalid_utf8(piece.text) != std::string::npos) fail(id, "is not UTF-8");
      if (!std::isfinite(piece.score)) fail(id, "has a score that is not finite");
      if (!ids.emplace(piece.text, static_cast<int32_t>(id)).second) fail(id, "is there twice: '" + piece.text + "'");
    }
    const auto require = [&](const char* text) {
      const auto found = ids.find(text);
      if (found == ids.end()) throw UserError(ExitCode::kBadData, name + ": the token " + text + " is missing");
      return found->second;
    };
    special = {require("<s>"), require("</s>"), require("<mask>"), require("<pad>"), pieces.unknown};
    if (const auto found = ids.find(kBlank); found != ids.end()) blank = found->second;
    digest = digest_of(pieces);
  }

  [[noreturn]] void fail(size_t id, const std::string& what) const {
    throw UserError(ExitCode::kBadData, fmt::format("{}: piece {} {}", name, id, what));
  }

  // Made at first use: it takes a while, and training needs sizes and digest only.
  const sentencepiece::SentencePieceProcessor& processor() const {
    std::call_once(made, [this] {
      const sentencepiece::util::Status status = sentence_piece.LoadFromSerializedProto(serialized(pieces));
      if (!status.ok()) throw UserError(ExitCode::kBadData, name + ": SentencePiece refuses it: " + status.ToString());
    });
    return sentence_piece;
  }

  const WrittenToken* find_written(std::string_view text, size_t from, size_t& place) const;
  void split(std::string_view text, std::vector<int32_t>& ids) const;
  void segment(std::string_view word, std::vector<int32_t>& ids) const;

  UnigramPieces pieces;
  std::string name, digest;
  SpecialIds special;
  int32_t blank = -1;
  mutable std::once_flag made;
  mutable sentencepiece::SentencePieceProcessor sentence_piece;
};

Unigram::Unigram(UnigramPieces pieces, const std::string& name)
    : state_(std::make_unique<State>(std::move(pieces), name)) {}
Unigram::~Unigram() = default;

std::unique_ptr<const Tokenizer> Unigram::find(const std::string& folder) {
  const std::string json = folder + "/" + kTokenizerJson, model = folder + "/" + kSentencePieceModel;
  if (kind_of(json) != PathKind::kNothing)
    if (auto pieces = read_tokenizer_json(json)) return std::make_unique<const Unigram>(std::move(*pieces), json);
  if (kind_of(model) != PathKind::kNothing)
    return std::make_unique<const Unigram>(read_sentencepiece_model(model), model);
  return nullptr;
}

// The first special token written at or after `from`, the longest of those that begin there.
const WrittenToken* Unigram::State::find_written(std::string_view text, size_t from, size_t& place) const {
  const WrittenToken* found = nullptr;
  place = std::string_view::npos;
  for (const WrittenToken& token : pieces.written) {
    const size_t at = text.find(token.text, from);
    if (at == std::string_view::npos || at > place) continue;
    if (at == place && token.text.size() <= found->text.size()) continue;
    place = at;
    found = &token;
  }
  return found;
}

// `word` begins with ▁ where it is the beginning of one.
void Unigram::State::segment(std::string_view word, std::vector<int32_t>& ids) const {
  thread_local std::vector<int> found;
  found.clear();
  const sentencepiece::util::Status status = processor().Encode(word, &found);
  HYPERX_CHECK(status.ok(), status.ToString());
  ids.insert(ids.end(), found.begin(), found.end());
}

// A text without special tokens.
void Unigram::State::split(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string normal = pieces.normalization_map.normalize(text);
  std::string word;  // with ▁ in front
  const auto end_word = [&] {
    if (!word.empty()) segment(word, ids);
    word.clear();
  };
  bool after_blank = true;  // the last character was one, or there was none yet
  for (size_t at = 0; at < normal.size();) {
    const size_t begin = at;
    const char32_t c = decode_utf8(normal, at);
    const std::string_view character = std::string_view(normal).substr(begin, at - begin);
    const bool now_blank = pieces.splits_at_white_space ? is_white_space(c) : c == ' ';
    if (now_blank || character == kBlank) {
      if (now_blank && after_blank && begin > 0) continue;
      end_word();
      word = pieces.splits_at_white_space && now_blank ? "" : kBlank;
    } else {
      if (word.empty()) word = kBlank;
      word += character;
    }
    after_blank = now_blank;
  }
  end_word();
}

void Unigram::line(std::string_view line, std::vector<int32_t>& ids) const {
  size_t from = 0;
  while (from < line.size()) {
    size_t place = 0;
    const WrittenToken* const token = state_->find_written(line, from, place);
    if (token == nullptr) break;
    std::string_view before = line.substr(from, place - from);
    while (token->strips_left && !before.empty() && before.back() == ' ') before.remove_suffix(1);
    state_->split(before, ids);
    ids.push_back(token->id);
    from = place + token->text.size();
    while (token->strips_right && from < line.size() && line[from] == ' ') ++from;
  }
  if (from < line.size()) state_->split(line.substr(from), ids);
}

const SpecialIds& Unigram::special() const { return state_->special; }
int32_t Unigram::blank() const { return state_->blank; }
int32_t Unigram::size() const { return static_cast<int32_t>(state_->pieces.pieces.size()); }
const std::string& Unigram::token(int32_t id) const { return state_->pieces.pieces[static_cast<size_t>(id)].text; }
const std::string& Unigram::digest() const { return state_->digest; }
const std::string& Unigram::file() const { return state_->name; }

}  // namespace hyperx::data
