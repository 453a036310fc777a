#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <stdexcept>

#include "common/files.h"
#include "common/json.h"
#include "data/tokenizer/unigram/unigram_pieces.h"

namespace hyperx::data {
namespace {

using nlohmann::json;

std::string type_of(const JsonValue& value) { return value["type"].text(); }

[[noreturn]] void refuse(const JsonValue& value, const char* what) {
  value.fail(fmt::format("is {} {}, which hyperx does not know", what, type_of(value)));
}

std::string decode_base64(const JsonValue& value) {
  const std::string& text = value.text();
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) value.fail("is not base64");
  const auto padding = static_cast<size_t>(text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0);
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

void read_normalizer(const JsonValue& value, UnigramPieces& into) {
  const std::string type = type_of(value);
  if (type == "Sequence") {
    for (const JsonValue& each : value["normalizers"].items()) read_normalizer(each, into);
  } else if (type == "Precompiled") {
    const JsonValue map = value["precompiled_charsmap"];
    into.normalization_map_bytes = decode_base64(map);
    try {
      into.normalization_map = NormalizationMap(into.normalization_map_bytes);
    } catch (const std::runtime_error& error) {
      map.fail(error.what());
    }
  } else if (type == "Replace") {  // runs of blanks by one, which we do in any case
    if (value["pattern"].text("Regex", "") != " {2,}") refuse(value, "a replacement of another pattern,");
  } else {
    refuse(value, "a normaliser of type");
  }
}

void read_pre_tokenizer(const JsonValue& value, UnigramPieces& into) {
  const std::string type = type_of(value);
  if (type == "Sequence") {
    for (const JsonValue& each : value["pretokenizers"].items()) read_pre_tokenizer(each, into);
  } else if (type == "WhitespaceSplit") {
    into.splits_at_white_space = true;
  } else if (type == "Metaspace") {
    const bool prefix =
        value.has("prepend_scheme") ? value["prepend_scheme"].text() == "always" : value.flag("add_prefix_space", true);
    if (value["replacement"].text() != "\u2581" || !prefix || !value.flag("split", true))
      value.fail("is Metaspace with options that hyperx does not know: they are to be those of XLM-R");
  } else {
    refuse(value, "a pre-tokenizer of type");
  }
}

void read_pieces(const JsonValue& model, UnigramPieces& into) {
  for (const JsonValue& each : model["vocab"].items()) {
    const json& row = each.raw();
    if (!row.is_array() || row.size() != 2 || !row[0].is_string() || !row[1].is_number())
      each.fail("is not a piece and its score");
    into.pieces.push_back({row[0].get<std::string>(), row[1].get<float>(), false});
  }
  into.unknown = static_cast<int32_t>(model["unk_id"].integer(0, std::ssize(into.pieces) - 1));
  into.pieces[static_cast<size_t>(into.unknown)].special = true;
}

void read_added_tokens(const JsonValue& tokens, UnigramPieces& into) {
  for (const JsonValue& each : tokens.items()) {
    const std::string& text = each["content"].text();
    const auto count = static_cast<int64_t>(into.pieces.size());
    const auto id = each["id"].integer(0, count);
    if (id == count) into.pieces.push_back({text, 0, true});
    UnigramPieces::Piece& piece = into.pieces[static_cast<size_t>(id)];
    if (piece.text != text) each.fail(fmt::format("is '{}', but piece {} is '{}'", text, id, piece.text));
    piece.special = true;
    into.written.push_back({text, static_cast<int32_t>(id), each.flag("lstrip", false), each.flag("rstrip", false)});
  }
}

}  // namespace

std::optional<UnigramPieces> read_tokenizer_json(const std::string& path) {
  const json file = parse_json(read_file(path), path, "fetch the file again");
  const JsonValue root(path, file);
  if (!root.has("model") || type_of(root["model"]) != "Unigram") return std::nullopt;
  UnigramPieces pieces;
  read_pieces(root["model"], pieces);
  if (root.has("added_tokens")) read_added_tokens(root["added_tokens"], pieces);
  if (root.has("normalizer")) read_normalizer(root["normalizer"], pieces);
  read_pre_tokenizer(root["pre_tokenizer"], pieces);
  return pieces;
}

}  // namespace hyperx::data
