#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "model/encoder/family.h"

namespace hyperx::model {

#define FAMILY(name) EncoderFamily name##_family();
#include "model/encoder/families/rows.inc"
#undef FAMILY

const std::vector<EncoderFamily>& encoder_families() {
  static const std::vector<EncoderFamily> families = {
#define FAMILY(name) name##_family(),
#include "model/encoder/families/rows.inc"
#undef FAMILY
  };
  return families;
}

const EncoderFamily* find_encoder_family(const std::string& model_type, const std::vector<EncoderFamily>& families) {
  for (const EncoderFamily& family : families)
    if (family.model_type == model_type) return &family;
  return nullptr;
}

EncoderConfig::EncoderConfig(const std::string& folder) : path_(folder + "/config.json") {
  json_ = parse_json(read_file(path_), path_);
  if (!json_.is_object()) fail("is not a JSON object");
}

void EncoderConfig::fail(const std::string& what) const { throw UserError(ExitCode::kBadData, path_ + ": " + what); }

const nlohmann::json* EncoderConfig::find(const std::string& key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

int64_t EncoderConfig::integer(const std::string& key, int64_t least, int64_t most, const std::string& what) const {
  const nlohmann::json* const value = find(key);
  if (value == nullptr && json_.contains(key)) fail(fmt::format("'{}' is null, not {}", key, what));
  if (value == nullptr) fail(fmt::format("the key '{}' is missing", key));
  const int64_t number = value->is_number_integer() ? value->get<int64_t>() : -1;  // -1 also for 2^63 and more
  if (number < least) fail(fmt::format("'{}' is {}, not {}", key, shown(*value), what));
  if (number > most) fail(fmt::format("'{}' is {}, more than {}, the most that is supported", key, number, most));
  return number;
}

int64_t EncoderConfig::size(const std::string& key, int64_t most) const {
  return integer(key, 1, most, "a size above 0");
}
int64_t EncoderConfig::id(const std::string& key) const { return integer(key, 0, kLargestSize, "an id from 0"); }

double EncoderConfig::number(const std::string& key, double fallback) const {
  const nlohmann::json* const value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) fail(fmt::format("'{}' is {}, not a number", key, shown(*value)));
  return value->get<double>();
}

std::string EncoderConfig::text(const std::string& key, const std::string& fallback) const {
  const nlohmann::json* const value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) fail(fmt::format("'{}' is {}, not a string", key, shown(*value)));
  return value->get<std::string>();
}

void EncoderConfig::require(const std::string& key, const std::string& supported) const {
  const std::string value = text(key, supported);
  if (value != supported) fail(fmt::format("{} '{}' is not supported, only '{}'", key, value, supported));
}

}  // namespace hyperx::model
