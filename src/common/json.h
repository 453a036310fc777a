#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hyperx {

// The only readers of JSON; they take time and memory in proportion to the text. UserError (65) "ORIGIN: is not JSON:
// CAUSE; ADVICE": wrong syntax, more than kDeepestJson lists and objects within each other, a key twice in one object.
constexpr int kDeepestJson = 64;
nlohmann::json parse_json(std::string_view text, const std::string& origin, const std::string& advice = "");
// Hands the items of the list `list` of the outermost object to `take` one by one instead of keeping them all.
nlohmann::json parse_json_by_item(std::string_view text, const std::string& origin, const std::string& advice,
                                  const std::string& list, const std::function<void(const nlohmann::json&)>& take);
// The same without an error message: is_discarded() where parse_json() would throw.
nlohmann::json parse_json_or_discard(std::string_view text);

// The value as JSON, for messages: cut after 40 bytes.
std::string shown(const nlohmann::json& value);

// A value of a file that was read, with its place for messages: "normalizer.normalizers[0].type". Every function throws
// UserError (65) naming file, place and value where the value is of another kind. Refers to `origin` and `value`.
class JsonValue {
 public:
  JsonValue(const std::string& origin, const nlohmann::json& value, std::string place = "")
      : origin_(origin), value_(value), place_(std::move(place)) {}

  [[noreturn]] void fail(const std::string& what) const;
  const nlohmann::json& raw() const { return value_; }

  bool has(const std::string& key) const;                         // false if it is null
  JsonValue operator[](const std::string& key) const;             // an error if it is missing or null
  std::vector<JsonValue> items() const;                           // of a list
  std::vector<std::pair<std::string, JsonValue>> fields() const;  // of an object

  const std::string& text() const;
  std::vector<std::string> texts() const;  // of a list
  int64_t integer(int64_t least = INT64_MIN, int64_t most = INT64_MAX) const;
  std::vector<int64_t> integers() const;  // of a list
  double number() const;
  bool flag() const;

  std::string text(const std::string& key, const std::string& fallback) const;
  bool flag(const std::string& key, bool fallback) const;
  int64_t integer(const std::string& key, int64_t fallback) const;

 private:
  const std::string& origin_;
  const nlohmann::json& value_;
  std::string place_;
};

}  // namespace hyperx
