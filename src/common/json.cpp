#include "common/json.h"

#include "common/errors.h"

namespace hyperx {
namespace {

using nlohmann::json;

constexpr size_t kShownBytes = 40;

// Builds the value from the events of nlohmann's parser. Its own builder knows no limit of depth, and with a callback
// it takes quadratic time.
class Builder {
 public:
  Builder(const std::string& list, const std::function<void(const json&)>& take) : list_(list), take_(take) {}

  json& result() { return result_; }
  std::string fault() const { return key_.empty() ? fault_ : fault_ + " (after the key '" + key_ + "')"; }

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(json::number_integer_t value) { return put(value); }
  bool number_unsigned(json::number_unsigned_t value) { return put(value); }
  bool number_float(json::number_float_t value, const std::string& /*text*/) { return put(value); }
  bool string(std::string& value) { return put(std::move(value)); }
  bool binary(json::binary_t& value) { return put(std::move(value)); }
  bool start_object(size_t /*count*/) { return open(json::object()); }
  bool start_array(size_t /*count*/) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    key_ = name;
    const auto [place, is_new] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!is_new) return fail("is named twice in one object");
    next_ = &place->second;
    return true;
  }
  bool parse_error(size_t /*place*/, const std::string& /*token*/, const json::exception& error) {
    const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const size_t end = text.find("] ");
    return fail(end == std::string::npos ? text : text.substr(end + 2));
  }

 private:
  bool fail(const std::string& fault) {
    fault_ = fault;
    return false;
  }
  bool put(json value) {
    if (open_.empty()) {
      result_ = std::move(value);
      next_ = &result_;
    } else if (open_.back()->is_array()) {
      auto& items = open_.back()->get_ref<json::array_t&>();
      items.push_back(std::move(value));
      next_ = &items.back();
    } else {
      *next_ = std::move(value);
    }
    return open_.size() != kListDepth || take_item();
  }
  bool open(json empty) {
    if (open_.size() == kDeepestJson) return fail("more than " + std::to_string(kDeepestJson) + " levels deep");
    const bool in_root = open_.size() == 1 && open_.back()->is_object();
    if (in_root) in_list_ = take_ && key_ == list_ && empty.is_array();
    opening_ = true;
    put(std::move(empty));
    opening_ = false;
    open_.push_back(next_);
    return true;
  }
  bool close() {
    open_.pop_back();
    if (open_.size() == 1) in_list_ = false;
    return open_.size() != kListDepth || take_item();
  }
  // After each value that is complete within the outermost object's lists and objects.
  bool take_item() {
    if (!in_list_ || opening_) return true;
    auto& items = open_.back()->get_ref<json::array_t&>();
    take_(items.back());
    items.pop_back();
    return true;
  }

  static constexpr size_t kListDepth = 2;  // open values while an item of `list` is read
  const std::string& list_;
  const std::function<void(const json&)>& take_;
  json result_;
  std::vector<json*> open_;  // lists and objects that are not complete, from the outermost on
  json* next_ = nullptr;     // the value put last; of an object: the place of the next one
  bool in_list_ = false, opening_ = false;
  std::string key_, fault_;
};

// The fault, or "".
std::string parse(std::string_view text, const std::string& list, const std::function<void(const json&)>& take,
                  json& result) {
  if (text.find('\0') != std::string_view::npos) return "holds a zero byte";  // the parser would end there
  Builder builder(list, take);
  if (!json::sax_parse(text, &builder)) return builder.fault();
  result = std::move(builder.result());
  return "";
}

json parse_or_throw(std::string_view text, const std::string& origin, const std::string& advice,
                    const std::string& list, const std::function<void(const json&)>& take) {
  json result;
  const std::string fault = parse(text, list, take, result);
  if (fault.empty()) return result;
  throw UserError(ExitCode::kBadData, origin + ": is not JSON: " + fault + (advice.empty() ? "" : "; " + advice));
}

}  // namespace

json parse_json(std::string_view text, const std::string& origin, const std::string& advice) {
  return parse_or_throw(text, origin, advice, "", nullptr);
}

json parse_json_by_item(std::string_view text, const std::string& origin, const std::string& advice,
                        const std::string& list, const std::function<void(const json&)>& take) {
  return parse_or_throw(text, origin, advice, list, take);
}

json parse_json_or_discard(std::string_view text) {
  json result;
  return parse(text, "", nullptr, result).empty() ? result : json(json::value_t::discarded);
}

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true);
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + "...";
}

void JsonValue::fail(const std::string& what) const {
  throw UserError(ExitCode::kBadData, origin_ + ": " + (place_.empty() ? "the file" : place_) + " " + what);
}

bool JsonValue::has(const std::string& key) const {
  if (!value_.is_object()) return false;
  const auto found = value_.find(key);
  return found != value_.end() && !found->is_null();
}

JsonValue JsonValue::operator[](const std::string& key) const {
  if (!value_.is_object()) fail("is " + shown(value_) + ", not an object");
  if (!has(key)) fail("has no '" + key + "'");
  return {origin_, value_[key], place_.empty() ? key : place_ + "." + key};
}

std::vector<JsonValue> JsonValue::items() const {
  if (!value_.is_array()) fail("is " + shown(value_) + ", not a list");
  std::vector<JsonValue> items;
  items.reserve(value_.size());
  for (size_t i = 0; i < value_.size(); ++i)
    items.push_back({origin_, value_[i], place_ + "[" + std::to_string(i) + "]"});
  return items;
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::fields() const {
  if (!value_.is_object()) fail("is " + shown(value_) + ", not an object");
  std::vector<std::pair<std::string, JsonValue>> fields;
  for (const auto& [key, value] : value_.items())
    fields.emplace_back(key, JsonValue{origin_, value, place_.empty() ? key : place_ + "." + key});
  return fields;
}

const std::string& JsonValue::text() const {
  if (!value_.is_string()) fail("is " + shown(value_) + ", not a text");
  return value_.get_ref<const std::string&>();
}

std::vector<std::string> JsonValue::texts() const {
  std::vector<std::string> texts;
  for (const JsonValue& item : items()) texts.push_back(item.text());
  return texts;
}

int64_t JsonValue::integer(int64_t least, int64_t most) const {
  const bool too_large = value_.is_number_unsigned() && value_.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (!value_.is_number_integer() || too_large) fail("is " + shown(value_) + ", not a whole number");
  const auto number = value_.get<int64_t>();
  if (number < least || number > most)
    fail("is " + shown(value_) + ", not a whole number from " + std::to_string(least) +
         (most == INT64_MAX ? "" : " to " + std::to_string(most)));
  return number;
}

std::vector<int64_t> JsonValue::integers() const {
  std::vector<int64_t> numbers;
  for (const JsonValue& item : items()) numbers.push_back(item.integer());
  return numbers;
}

double JsonValue::number() const {
  if (!value_.is_number()) fail("is " + shown(value_) + ", not a number");
  return value_.get<double>();
}

bool JsonValue::flag() const {
  if (!value_.is_boolean()) fail("is " + shown(value_) + ", neither true nor false");
  return value_.get<bool>();
}

std::string JsonValue::text(const std::string& key, const std::string& fallback) const {
  return has(key) ? (*this)[key].text() : fallback;
}
bool JsonValue::flag(const std::string& key, bool fallback) const { return has(key) ? (*this)[key].flag() : fallback; }
int64_t JsonValue::integer(const std::string& key, int64_t fallback) const {
  return has(key) ? (*this)[key].integer() : fallback;
}

}  // namespace hyperx
