#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/encoder/encoder_spec.h"

namespace hyperx::model {

// FOLDER/config.json of an encoder. Its UserErrors name file, key and value: 66 missing; 65 not an object, or a value
// that is not of the requested kind.
class EncoderConfig {
 public:
  explicit EncoderConfig(const std::string& folder);

  // An integer from 1 to `most`. With these limits the number of values of an encoder always fits into 64 bits.
  int64_t size(const std::string& key, int64_t most = kLargestSize) const;
  int64_t id(const std::string& key) const;  // an integer from 0 to kLargestSize
  // `fallback` if the key is absent or null, as for text().
  double number(const std::string& key, double fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  // Refuses any value of the key except `supported`; the key may be absent or null.
  void require(const std::string& key, const std::string& supported) const;
  [[noreturn]] void fail(const std::string& what) const;

 private:
  static constexpr int64_t kLargestSize = 10'000'000;
  const nlohmann::json* find(const std::string& key) const;  // nullptr: absent or null
  int64_t integer(const std::string& key, int64_t least, int64_t most, const std::string& what) const;

  std::string path_;
  nlohmann::json json_;
};

// What distinguishes a kind of encoder from the others. One row per `model_type` of Hugging Face's config.json; all
// other code knows encoders by their EncoderSpec and by our tensor names (encoder_tensor_shapes(), mlm_head_shapes()).
struct EncoderFamily {
  using Names = std::vector<std::string> (*)(const std::string& ours);

  std::string model_type;
  // Prefix of the encoder's tensor names in the weights of a model with heads; those of a bare encoder have none.
  std::string prefix;
  // The names, without `prefix`, that a weights file may use for our name.
  Names encoder_names, mlm_head_names;
  // Beginnings of the names, without `prefix`, of other parts of such a model, which are ignored silently.
  std::vector<std::string> other_parts;
  // Checks config.json and reads the parts that differ between families: token types and position offset.
  void (*read)(const EncoderConfig& config, EncoderSpec& spec);
};

// The family of that model_type; nullptr: not in `families`.
const EncoderFamily* find_encoder_family(const std::string& model_type,
                                         const std::vector<EncoderFamily>& families = encoder_families());

}  // namespace hyperx::model
