#include "model/encoder/encoder_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/serialize.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "model/encoder/safetensors.h"
#include "tests/support/encoder_folder.h"
#include "tests/support/errors.h"

namespace hyperx::model {
namespace {

using testing::HasSubstr;

class EncoderWeightsTest : public testing::Test {
 protected:
  EncoderWeightsTest() {
    files_.write_config(R"("model_type":"bert","max_position_embeddings":12,"type_vocab_size":2,"hidden_act":"gelu")");
    for (const auto& [name, shape] : encoder_tensor_shapes(read_encoder_spec(folder_)))
      tensors_[name] = at::randn(shape);
  }

  EncoderWeights load() {
    files_.write_weights(tensors_);
    return load_encoder(folder_, 1);
  }
  std::string error() {
    return test::message_of(ExitCode::kBadData, [&] { load(); });
  }
  test::EncoderFolder files_;
  const std::string folder_ = files_.path();
  test::Tensors tensors_;
};

TEST_F(EncoderWeightsTest, ReadsWhatIsThere) {
  const EncoderWeights weights = load();
  EXPECT_EQ(weights.tensors.size(), tensors_.size());
  for (const auto& [name, tensor] : tensors_) EXPECT_TRUE(at::equal(weights.tensors.at(name), tensor)) << name;
}

TEST_F(EncoderWeightsTest, TakesOldNamesAndPassesOverOtherPartsOfBert) {
  std::map<std::string, at::Tensor> old;
  for (const auto& [name, tensor] : tensors_) {
    std::string changed = "bert." + name;
    const size_t at = changed.find("LayerNorm.");
    if (at != std::string::npos) {
      const bool weight = changed.find("weight", at) != std::string::npos;
      changed.resize(at + 10);
      changed += weight ? "gamma" : "beta";
    }
    old[changed] = tensor;
  }
  old["bert.pooler.dense.weight"] = at::randn({8, 8});
  old["cls.seq_relationship.bias"] = at::randn({2});
  const std::map<std::string, at::Tensor> modern = tensors_;
  tensors_ = old;
  const EncoderWeights weights = load();
  for (const auto& [name, tensor] : modern) EXPECT_TRUE(at::equal(weights.tensors.at(name), tensor)) << name;
}

TEST_F(EncoderWeightsTest, NamesMissingExtraAndMisshapenTensors) {
  tensors_.erase("encoder.layer.0.output.dense.bias");
  EXPECT_THAT(error(), HasSubstr("missing: encoder.layer.0.output.dense.bias"));
  tensors_["encoder.layer.0.output.dense.bias"] = at::randn({9});
  EXPECT_THAT(error(), HasSubstr("encoder.layer.0.output.dense.bias is [9], config.json says [8]"));
  tensors_["encoder.layer.0.output.dense.bias"] = at::randn({8});
  tensors_["encoder.layer.2.output.dense.bias"] = at::randn({8});
  EXPECT_THAT(error(), HasSubstr("not of model_type bert: encoder.layer.2.output.dense.bias"));
}

TEST_F(EncoderWeightsTest, NamesATensorThatIsNotFinite) {
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const std::string name = "encoder.layer.1.output.dense.weight";
    tensors_[name][3][2] = bad;
    EXPECT_THAT(error(), testing::AllOf(HasSubstr("model.safetensors: " + name), HasSubstr("not finite")));
    tensors_[name][3][2] = 0;
  }
  tensors_["embeddings.word_embeddings.weight"].fill_(3e38);  // their sum is not finite
  load();
}

TEST_F(EncoderWeightsTest, ADecoderOfItsOwnIsNamed) {
  const std::string name = "cls.predictions.decoder.weight";
  EXPECT_EQ(load().untied_decoder, "");
  tensors_[name] = tensors_["embeddings.word_embeddings.weight"];
  EXPECT_EQ(load().untied_decoder, "");
  tensors_[name] = tensors_[name] + 1;
  EXPECT_EQ(load().untied_decoder, name);
  tensors_[name] = at::randn({3, 8});
  EXPECT_EQ(load().untied_decoder, name);
}

TEST_F(EncoderWeightsTest, WeightsInSeveralFilesAreNamed) {
  for (const char* whole : {"model.safetensors", "pytorch_model.bin"}) {
    const std::string index = folder_ + "/" + whole + ".index.json";
    std::ofstream(index) << "{}";
    EXPECT_THAT(test::message_of(ExitCode::kBadData, [&] { load_encoder(folder_, 1); }),
                testing::AllOf(HasSubstr(index), HasSubstr("merge them")));
    std::filesystem::remove(index);
  }
}

TEST_F(EncoderWeightsTest, TakesTheFirstLayers) {
  files_.write_weights(tensors_);
  for (const std::string& source : {folder_, "random:" + folder_}) {
    const EncoderWeights whole = load_encoder(source, 1), one = load_encoder(source, 1, 1);
    EXPECT_EQ(one.spec.layers, 1);
    EXPECT_EQ(one.tensors.size(), whole.tensors.size() - 16);
    EXPECT_FALSE(one.tensors.contains("encoder.layer.1.output.dense.bias"));
    for (const auto& [name, tensor] : one.tensors) EXPECT_TRUE(at::equal(tensor, whole.tensors.at(name))) << name;
    EXPECT_EQ(one.digest.get(), whole.digest.get());
    EXPECT_EQ(load_encoder(source, 1, 2).spec.layers, 2);
  }
  EXPECT_EQ(test::message_of(ExitCode::kBadConfig, [&] { load_encoder(folder_, 1, 3); }),
            "model.encoder_layers = 3, but the encoder in " + folder_ + " has 2");
}

TEST_F(EncoderWeightsTest, ItsDigestIsTheFilesWhoeverComputesIt) {
  load();
  const std::string expected = sha256_of_file(folder_ + "/model.safetensors");
  EXPECT_EQ(load_encoder(folder_, 1, 0, std::launch::async).digest.get(), expected);
  EXPECT_EQ(load_encoder(folder_, 1, 0, std::launch::deferred).digest.get(), expected);
}

TEST_F(EncoderWeightsTest, DrawsTheSameWeightsFromTheSameSeed) {
  const EncoderWeights first = load_encoder("random:" + folder_, 3), again = load_encoder("random:" + folder_, 3),
                       other = load_encoder("random:" + folder_, 4);
  const std::string name = "encoder.layer.0.intermediate.dense.weight";
  EXPECT_TRUE(at::equal(first.tensors.at(name), again.tensors.at(name)));
  EXPECT_FALSE(at::equal(first.tensors.at(name), other.tensors.at(name)));
  EXPECT_EQ(first.digest.get(), again.digest.get());
  EXPECT_NE(first.digest.get(), other.digest.get());
  EXPECT_TRUE(at::equal(first.tensors.at("embeddings.LayerNorm.weight"), at::ones({8})));
}

TEST_F(EncoderWeightsTest, ReadsWhatTorchSaved) {
  c10::Dict<std::string, at::Tensor> dict;
  for (const auto& [name, tensor] : tensors_) dict.insert(name, tensor);
  const std::vector<char> bytes = torch::pickle_save(dict);
  std::ofstream(folder_ + "/pytorch_model.bin", std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const EncoderWeights weights = load_encoder(folder_, 1);
  for (const auto& [name, tensor] : tensors_) EXPECT_TRUE(at::equal(weights.tensors.at(name), tensor)) << name;
}

// Said before it is tried: the system would end the process once it uses what it was given.
TEST_F(EncoderWeightsTest, MoreRandomWeightsThanMemoryAreRefused) {
  files_.write_config(
      R"("model_type":"bert","max_position_embeddings":10000000,"type_vocab_size":2,"hidden_act":"gelu")");
  std::string config = read_file(folder_ + "/config.json");
  config.replace(config.find("\"hidden_size\":8"), 15, "\"hidden_size\":100000");
  write_file_atomically(folder_ + "/config.json", config);
  EXPECT_THAT(test::message_of(ExitCode::kIo, [&] { load_encoder("random:" + folder_, 1); }),
              testing::AllOf(testing::StartsWith(folder_ + "/config.json: random weights"),
                             HasSubstr(" TB, and this process may use ")));
}

// Quadratic time took minutes.
TEST_F(EncoderWeightsTest, ManyTensorsTakeLinearTime) {
  std::map<std::string, at::Tensor> many;
  for (int i = 0; i < 40'000; ++i) many[fmt::format("t{}", i)] = at::ones({1});
  test::write_safetensors(folder_ + "/many.safetensors", many);
  EXPECT_EQ(Safetensors(folder_ + "/many.safetensors").names().size(), 40'000U);
}

// Faults of the file itself: each is refused with its name before a byte is used.
TEST_F(EncoderWeightsTest, RefusesFilesThatAreNotWhole) {
  const std::string path = folder_ + "/bad.safetensors";
  const std::map<std::string, at::Tensor> one{{"a", at::ones({4})}};
  const auto refuse = [&](const std::string& header, const std::string& expected) {
    test::write_safetensors(path, one, header);
    try {
      const Safetensors file(path);
      ADD_FAILURE() << "taken: " << header;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(expected)) << header;
    }
  };
  refuse(R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})", "shape that does not fit");
  refuse(R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}})", "outside the file");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "belong to no tensor");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", "hole");
  refuse(
      R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
      "twice");
  refuse(R"({"a":{"dtype":"F7","shape":[4],"data_offsets":[0,16]}})", "unknown type");
  refuse(R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})", "negative");
  refuse(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}})", "larger than any memory");
  refuse(R"({"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,16]}})", "larger than any memory");
  refuse(R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}})", "larger than any memory");
  refuse(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4],"data_offsets":[0,16]}})", "17 dimensions");
  refuse(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[-16,16]}})", "outside the file");
  refuse(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16,16]}})", "a.data_offsets are not two offsets");
  refuse(R"({"a":{"dtype":"F32","shape":[4.5],"data_offsets":[0,16]}})", "a.shape[0] is 4.5, not a whole number");
  refuse(R"({"a":{"dtype":null,"shape":[4],"data_offsets":[0,16]}})", "a has no 'dtype'");
  refuse(R"({"a":)" + std::string(100'000, '['), "more than 64 levels deep");
  refuse(R"(["a"])", "not a JSON object");
  refuse(R"({"a":)", "not JSON");
  std::ofstream(path, std::ios::binary | std::ios::trunc) << "abc";
  EXPECT_THROW(Safetensors{path}, UserError);
  EXPECT_THROW(Safetensors{folder_ + "/nothing"}, UserError);
}

}  // namespace
}  // namespace hyperx::model
