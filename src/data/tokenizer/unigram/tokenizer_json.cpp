#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/errors.h"
#include "common/files.h"
#include "data/tokenizer/unigram/unigram_pieces.h"

namespace hyperx::data {
namespace {

using nlohmann::json;

// A value within the file, with its place for messages: "normalizer.normalizers[0].type".
class Value {
 public:
  Value(const std::string& path, const json& value, std::string place = "")
      : path_(path), value_(value), place_(std::move(place)) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(ExitCode::kBadData, fmt::format("{}: {} {}", path_, place_.empty() ? "the file" : place_, what));
  }

  bool has(const char* key) const { return value_.is_object() && value_.contains(key) && !value_[key].is_null(); }
  Value operator[](const char* key) const {
    if (!has(key)) fail(fmt::format("has no '{}'", key));
    return {path_, value_[key], place_.empty() ? key : place_ + "." + key};
  }
  std::vector<Value> items() const {
    if (!value_.is_array()) fail("is not a list");
    std::vector<Value> items;
    items.reserve(value_.size());
    for (size_t i = 0; i < value_.size(); ++i) items.push_back({path_, value_[i], fmt::format("{}[{}]", place_, i)});
    return items;
  }
  const json& raw() const { return value_; }
  const std::string& text() const {
    if (!value_.is_string()) fail(fmt::format("is {}, not a text", shown()));
    return value_.get_ref<const std::string&>();
  }
  int64_t id(int64_t below) const {
    if (!value_.is_number_integer() || value_.get<int64_t>() < 0 || value_.get<int64_t>() >= below)
      fail(fmt::format("is {}, not an id below {}", shown(), below));
    return value_.get<int64_t>();
  }
  bool flag(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    if (!value_[key].is_boolean()) (*this)[key].fail("is neither true nor false");
    return value_[key].get<bool>();
  }
  std::string type() const { return (*this)["type"].text(); }
  void refuse(const char* what) const { fail(fmt::format("is {} {}, which hyperx does not know", what, type())); }

 private:
  std::string shown() const {
    const std::string text = value_.dump();
    return text.size() <= 40 ? text : text.substr(0, 40) + "...";
  }

  const std::string& path_;
  const json& value_;
  std::string place_;
};

std::string decode_base64(const Value& value) {
  const std::string& text = value.text();
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) value.fail("is not base64");
  const auto padding = static_cast<size_t>(text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0);
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

void read_normalizer(const Value& value, UnigramPieces& into) {
  const std::string type = value.type();
  if (type == "Sequence") {
    for (const Value& each : value["normalizers"].items()) read_normalizer(each, into);
  } else if (type == "Precompiled") {
    const Value map = value["precompiled_charsmap"];
    into.normalization_map_bytes = decode_base64(map);
    try {
      into.normalization_map = NormalizationMap(into.normalization_map_bytes);
    } catch (const std::runtime_error& error) {
      map.fail(error.what());
    }
  } else if (type == "Replace") {  // runs of blanks by one, which we do in any case
    const json& pattern = value["pattern"].raw();
    if (!pattern.is_object() || pattern.value("Regex", "") != " {2,}")
      value.refuse("a replacement of another pattern,");
  } else {
    value.refuse("a normaliser of type");
  }
}

void read_pre_tokenizer(const Value& value, UnigramPieces& into) {
  const std::string type = value.type();
  if (type == "Sequence") {
    for (const Value& each : value["pretokenizers"].items()) read_pre_tokenizer(each, into);
  } else if (type == "WhitespaceSplit") {
    into.splits_at_white_space = true;
  } else if (type == "Metaspace") {
    const bool prefix =
        value.has("prepend_scheme") ? value["prepend_scheme"].text() == "always" : value.flag("add_prefix_space", true);
    if (value["replacement"].text() != "\u2581" || !prefix || !value.flag("split", true))
      value.fail("is Metaspace with options that hyperx does not know: they are to be those of XLM-R");
  } else {
    value.refuse("a pre-tokenizer of type");
  }
}

void read_pieces(const Value& model, UnigramPieces& into) {
  for (const Value& each : model["vocab"].items()) {
    const json& row = each.raw();
    if (!row.is_array() || row.size() != 2 || !row[0].is_string() || !row[1].is_number())
      each.fail("is not a piece and its score");
    into.pieces.push_back({row[0].get<std::string>(), row[1].get<float>(), false});
  }
  into.unknown = static_cast<int32_t>(model["unk_id"].id(static_cast<int64_t>(into.pieces.size())));
  into.pieces[static_cast<size_t>(into.unknown)].special = true;
}

void read_added_tokens(const Value& tokens, UnigramPieces& into) {
  for (const Value& each : tokens.items()) {
    const std::string& text = each["content"].text();
    const auto count = static_cast<int64_t>(into.pieces.size());
    const auto id = each["id"].id(count + 1);
    if (id == count) into.pieces.push_back({text, 0, true});
    UnigramPieces::Piece& piece = into.pieces[static_cast<size_t>(id)];
    if (piece.text != text) each.fail(fmt::format("is '{}', but piece {} is '{}'", text, id, piece.text));
    piece.special = true;
    into.written.push_back({text, static_cast<int32_t>(id), each.flag("lstrip", false), each.flag("rstrip", false)});
  }
}

}  // namespace

std::optional<UnigramPieces> read_tokenizer_json(const std::string& path) {
  json file;
  try {
    file = json::parse(read_file(path));
  } catch (const json::exception& error) {
    throw UserError(ExitCode::kBadData, path + ": is not JSON: " + error.what() + ": fetch the file again");
  }
  const Value root(path, file);
  if (!root.has("model") || root["model"].type() != "Unigram") return std::nullopt;
  UnigramPieces pieces;
  read_pieces(root["model"], pieces);
  if (root.has("added_tokens")) read_added_tokens(root["added_tokens"], pieces);
  if (root.has("normalizer")) read_normalizer(root["normalizer"], pieces);
  read_pre_tokenizer(root["pre_tokenizer"], pieces);
  return pieces;
}

}  // namespace hyperx::data
