#include "model/encoder/family.h"

#include <gmock/gmock.h>

#include "common/errors.h"
#include "common/files.h"
#include "tests/support/encoder_folder.h"
#include "tests/support/errors.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::model {
namespace {

using testing::HasSubstr;

constexpr const char* kBertConfig = R"("model_type":"bert","max_position_embeddings":12,"type_vocab_size":2)";
constexpr const char* kOtherConfig = R"("model_type":"other","max_position_embeddings":15,"pad_token_id":2)";

// A family that only this test knows: other names and prefix, positions from pad_token_id + 1, no token types.
std::vector<std::string> other_encoder_name(const std::string& ours) {
  const std::string layers = "encoder.layer.";
  return {ours.starts_with(layers) ? "blocks." + ours.substr(layers.size()) : ours};
}
std::vector<std::string> other_head_name(const std::string& ours) {
  const std::string transform = "transform.";
  return {"lm_head." + (ours.starts_with(transform) ? ours.substr(transform.size()) : ours)};
}
void read_other(const EncoderConfig& config, EncoderSpec& spec) {
  config.require("attention", "full");
  spec.position_offset = config.id("pad_token_id") + 1;
}
const std::vector<EncoderFamily>& with_other() {
  static const std::vector<EncoderFamily> families = [] {
    std::vector<EncoderFamily> rows = encoder_families();
    rows.push_back({"other", "backbone.", other_encoder_name, other_head_name, {"pooler."}, read_other});
    return rows;
  }();
  return families;
}

// The same encoder in two folders, once as a BERT, whose first token type adds nothing, and once in the other family.
class EncoderFamilyTest : public testing::Test {
 protected:
  EncoderFamilyTest() {
    at::manual_seed(4);
    bert_.write_config(kBertConfig);
    other_.write_config(kOtherConfig);
    const EncoderSpec spec = read_encoder_spec(bert_.path());
    const std::string positions = "embeddings.position_embeddings.weight";
    for (const auto& [name, shape] : encoder_tensor_shapes(spec)) {
      const at::Tensor values = at::randn(shape) * 0.3;
      if (name == "embeddings.token_type_embeddings.weight")
        values[0].zero_();
      else if (name == positions)
        other_tensors_["backbone." + name] = at::cat({at::randn({3, spec.hidden}), values});
      else
        other_tensors_["backbone." + other_encoder_name(name)[0]] = values;
      bert_tensors_["bert." + name] = values;
    }
    for (const auto& [name, shape] : mlm_head_shapes(spec)) {
      const at::Tensor values = at::randn(shape);
      bert_tensors_["cls.predictions." + name] = values;
      other_tensors_[other_head_name(name)[0]] = values;
    }
    other_tensors_["backbone.pooler.weight"] = at::randn({8, 8});
  }

  EncoderWeights bert() const {
    bert_.write_weights(bert_tensors_);
    return load_encoder(bert_.path(), 1, 0, std::launch::async, with_other());
  }
  EncoderWeights other() const {
    other_.write_weights(other_tensors_);
    return load_encoder(other_.path(), 1, 0, std::launch::async, with_other());
  }

  test::EncoderFolder bert_, other_;
  test::Tensors bert_tensors_, other_tensors_;
};

// What a bad file says; "": it is taken.
template <class Action>
std::string bad_data(Action&& action) {
  return test::message_of(ExitCode::kBadData, action);
}

struct Results {
  std::vector<at::Tensor> hidden, logits;
};

Results run(const EncoderWeights& encoder, const std::string& method) {
  Config config = train::tiny_config();
  config.model.method = method;
  std::vector<data::Pair> pairs{{"pos", "en"}, {"mlm", "en"}};  // two: of each of the sentences
  if (method == "madx") pairs = {{"mlm", "en"}, {"mlm", "en"}};
  if (method == "psf") pairs = {{"pos", "en"}, {"ner", "tr"}};
  std::set<std::string> tasks, languages;
  for (const data::Pair& pair : pairs) {
    tasks.insert(pair.task);
    languages.insert(pair.language);
  }
  ModelOptions options{config,
                       data::TaskSet::of({tasks.begin(), tasks.end()}),
                       {languages.begin(), languages.end()},
                       at::kDouble,
                       at::kCPU};
  for (const std::string& task : tasks)
    for (const std::string& language : languages) options.pairs.push_back({task, language});
  Model model(encoder, options);
  model.begin_step(pairs, false);
  Results results;
  results.logits = model.logits(model.pack(train::two_sentences()), &results.hidden);
  return results;
}

TEST_F(EncoderFamilyTest, OfATestLoadsAndRunsByItsRow) {
  const EncoderWeights as_bert = bert(), as_other = other();
  EXPECT_EQ(as_other.spec.family->model_type, "other");
  EXPECT_EQ(as_other.tensors.size() + 1, as_bert.tensors.size());
  EXPECT_EQ(as_other.mlm_head.size(), 5U);
  for (const MethodSpec& method : method_specs()) {
    const Results expected = run(as_bert, method.name), got = run(as_other, method.name);
    ASSERT_EQ(got.hidden.size(), 3U);
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(got.hidden[i], expected.hidden[i])) << method.name << i;
    ASSERT_EQ(got.logits.size(), 2U);
    for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::equal(got.logits[i], expected.logits[i])) << method.name << i;
  }
}

TEST_F(EncoderFamilyTest, FaultsAreToldInItsOwnNames) {
  other_tensors_.erase("lm_head.bias");
  other_tensors_.erase("backbone.blocks.1.output.dense.bias");
  EXPECT_THAT(bad_data([&] { other(); }), HasSubstr("missing: blocks.1.output.dense.bias, lm_head.bias;"));
  other_tensors_["backbone.embeddings.token_type_embeddings.weight"] = at::randn({2, 8});
  EXPECT_THAT(bad_data([&] { other(); }),
              HasSubstr("not of model_type other: embeddings.token_type_embeddings.weight;"));
}

TEST_F(EncoderFamilyTest, ConfigIsCheckedByItsRow) {
  const auto error = [&](const std::string& config) {
    other_.write_config(config);
    return bad_data([&] { read_encoder_spec(other_.path(), 0, with_other()); });
  };
  const std::string file = other_.path() + "/config.json: ", other = kOtherConfig, bert = kBertConfig;
  EXPECT_EQ(error(other + R"(,"attention":"local")"), file + "attention 'local' is not supported, only 'full'");
  EXPECT_EQ(error(bert + R"(,"position_embedding_type":"relative_key")"),
            file + "position_embedding_type 'relative_key' is not supported, only 'absolute'");
  EXPECT_EQ(error(bert + R"(,"hidden_act":"relu")"), file + "hidden_act 'relu' is not supported, only 'gelu'");
  EXPECT_EQ(error(bert + R"(,"hidden_act":7)"), file + "'hidden_act' is 7, not a string");
  EXPECT_EQ(error(R"("model_type":"bert","max_position_embeddings":12)"),
            file + "the key 'type_vocab_size' is missing");
  const std::string roberta =
      R"("model_type":"xlm-roberta","max_position_embeddings":12,"type_vocab_size":1,"pad_token_id":)";
  EXPECT_EQ(error(roberta + "11"), file + "pad_token_id 11 leaves none of the 12 positions: they begin after it");
  EXPECT_EQ(error(roberta + "1"), "");
  EXPECT_EQ(read_encoder_spec(other_.path()).position_offset, 2);
  EXPECT_EQ(error(R"("model_type":"gpt2","max_position_embeddings":12)"),
            file + "model_type 'gpt2' is not supported, only 'bert', 'xlm-roberta', 'other'");
  EXPECT_EQ(error(R"("max_position_embeddings":12,"type_vocab_size":2)"), "");  // a BERT
}

// null is what a key that is absent would give; any other kind is an error with file, key and value.
TEST_F(EncoderFamilyTest, ConfigOfAnotherKindIsRefused) {
  const std::string file = bert_.path() + "/config.json: ";
  const std::string whole = read_file(bert_.path() + "/config.json");
  const auto error = [&](const std::string& key, const nlohmann::json& value) {
    auto config = nlohmann::json::parse(whole);
    config[key] = value;
    write_file_atomically(bert_.path() + "/config.json", config.dump());
    return bad_data([&] { read_encoder_spec(bert_.path()); });
  };
  using json = nlohmann::json;
  for (const char* key : {"hidden_act", "model_type", "position_embedding_type", "layer_norm_eps"}) {
    EXPECT_EQ(error(key, nullptr), "") << key;
    for (const json& other : {json::array({"gelu", "linear"}), json::object({{"a", 1}}), json(true)})
      EXPECT_THAT(error(key, other), testing::StartsWith(file + "'" + key + "' is " + other.dump() + ", not a "));
  }
  EXPECT_THAT(error("layer_norm_eps", "1e-12"), HasSubstr("'layer_norm_eps' is \"1e-12\", not a number"));
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
                          "max_position_embeddings", "type_vocab_size"}) {
    for (const json& other : {json(nullptr), json("8"), json::array({8}), json(8.5), json(true), json(0), json(-8),
                              json(uint64_t{1} << 63)})
      EXPECT_EQ(error(key, other), file + "'" + key + "' is " + other.dump() + ", not a size above 0");
    for (const json& other : {json(1'000'000'000), json(int64_t{1} << 62)})
      EXPECT_THAT(error(key, other), HasSubstr("'" + std::string(key) + "' is " + other.dump() + ", more than "));
  }
  for (const json& other : {json(0), json(-1e-12), json(1e300)})
    EXPECT_THAT(error("layer_norm_eps", other), HasSubstr("not a number between 0 and 1"));
  write_file_atomically(bert_.path() + "/config.json", R"({"layer_norm_eps":1e400})");
  EXPECT_THAT(bad_data([&] { read_encoder_spec(bert_.path()); }),
              HasSubstr("'1e400' (after the key 'layer_norm_eps')"));
}

// What `estimate` counts without LibTorch, against the tensors of the built encoder.
TEST_F(EncoderFamilyTest, SizesAreThoseOfTheBuiltEncoder) {
  for (const EncoderWeights& weights : {bert(), other()}) {
    ParameterSet parameters;
    const Encoder encoder(weights, parameters, EncoderTraining::kAll, at::kFloat, at::kCPU);
    parameters.bind();
    std::map<std::string, int64_t> built;
    for (const auto& block : parameters.blocks()) built[block->name()] = block->element_count();
    int64_t tables = 0;
    for (const auto& view : parameters.named_values())
      if (view.name.starts_with("encoder.embeddings.") && view.value.dim() == 2) tables += view.value.numel();
    const EncoderSizes sizes = encoder_sizes(weights.spec);
    const std::string& family = weights.spec.family->model_type;
    EXPECT_EQ(sizes.norms, built["layer_norms"]) << family;
    EXPECT_EQ(sizes.without_norms(), built["encoder"]) << family;
    EXPECT_EQ(sizes.tables, tables) << family;
  }
}

TEST_F(EncoderFamilyTest, TokenTypesAreTrainedWhereAllIs) {
  Config config = train::tiny_config();
  config.model.method = "mbert";
  Model model(bert(), {config, data::TaskSet::of({"pos"}), {"en"}, at::kDouble, at::kCPU});
  model.begin_step({{"pos", "en"}, {"pos", "en"}}, true);
  model.loss(model.pack(train::two_sentences()), {}).backward();
  const Parameter& types = model.parameters().at("encoder.embeddings.token_type_embeddings.weight");
  EXPECT_GT(types.gradient[0].abs().max().item<double>(), 0);
  EXPECT_EQ(types.gradient[1].abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace hyperx::model
