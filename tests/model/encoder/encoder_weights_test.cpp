#include "model/encoder/encoder_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>

#include "common/errors.h"
#include "model/encoder/safetensors.h"

namespace hyperx::model {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Writes tensors as safetensors; `header` may be replaced to make faults.
void write_safetensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::string& header = "") {
  std::string text = "{", bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(torch::kFloat).contiguous();
    if (text.size() > 1) text += ',';
    text += "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[";
    for (int64_t d = 0; d < values.dim(); ++d) {
      if (d > 0) text += ',';
      text += std::to_string(values.size(d));
    }
    text += "],\"data_offsets\":[" + std::to_string(bytes.size()) + ",";
    bytes.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    text += std::to_string(bytes.size()) + "]}";
  }
  text += "}";
  if (!header.empty()) text = header;
  const uint64_t size = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file << text << bytes;
}

class EncoderWeightsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "encoder_" + std::to_string(::getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
    std::ofstream(folder_ + "/config.json")
        << R"({"model_type":"bert","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,)"
           R"("vocab_size":10,"max_position_embeddings":12,"type_vocab_size":2,"hidden_act":"gelu"})";
    for (const auto& [name, shape] : encoder_tensor_shapes(read_encoder_spec(folder_)))
      tensors_[name] = torch::randn(shape);
  }
  void TearDown() override { fs::remove_all(folder_); }

  EncoderWeights load() {
    write_safetensors(folder_ + "/model.safetensors", tensors_);
    return load_encoder(folder_, 1);
  }
  std::string error() {
    try {
      load();
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
  std::map<std::string, at::Tensor> tensors_;
};

TEST_F(EncoderWeightsTest, ReadsWhatIsThere) {
  const EncoderWeights weights = load();
  EXPECT_EQ(weights.tensors.size(), tensors_.size());
  for (const auto& [name, tensor] : tensors_) EXPECT_TRUE(torch::equal(weights.tensors.at(name), tensor)) << name;
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
  old["bert.pooler.dense.weight"] = torch::randn({8, 8});
  old["cls.seq_relationship.bias"] = torch::randn({2});
  const std::map<std::string, at::Tensor> modern = tensors_;
  tensors_ = old;
  const EncoderWeights weights = load();
  for (const auto& [name, tensor] : modern) EXPECT_TRUE(torch::equal(weights.tensors.at(name), tensor)) << name;
}

TEST_F(EncoderWeightsTest, NamesMissingExtraAndMisshapenTensors) {
  tensors_.erase("encoder.layer.0.output.dense.bias");
  EXPECT_THAT(error(), HasSubstr("missing: encoder.layer.0.output.dense.bias"));
  tensors_["encoder.layer.0.output.dense.bias"] = torch::randn({9});
  EXPECT_THAT(error(), HasSubstr("encoder.layer.0.output.dense.bias is [9], config.json says [8]"));
  tensors_["encoder.layer.0.output.dense.bias"] = torch::randn({8});
  tensors_["encoder.layer.1.output.dense.bias"] = torch::randn({8});
  EXPECT_THAT(error(), HasSubstr("not of a BERT encoder: encoder.layer.1.output.dense.bias"));
}

TEST_F(EncoderWeightsTest, ItsDigestIsTheFilesWhoeverComputesIt) {
  load();
  const std::string expected = sha256_of_file(folder_ + "/model.safetensors");
  EXPECT_EQ(load_encoder(folder_, 1, std::launch::async).digest.get(), expected);
  EXPECT_EQ(load_encoder(folder_, 1, std::launch::deferred).digest.get(), expected);
}

TEST_F(EncoderWeightsTest, DrawsTheSameWeightsFromTheSameSeed) {
  const EncoderWeights first = load_encoder("random:" + folder_, 3), again = load_encoder("random:" + folder_, 3),
                       other = load_encoder("random:" + folder_, 4);
  const std::string name = "encoder.layer.0.intermediate.dense.weight";
  EXPECT_TRUE(torch::equal(first.tensors.at(name), again.tensors.at(name)));
  EXPECT_FALSE(torch::equal(first.tensors.at(name), other.tensors.at(name)));
  EXPECT_EQ(first.digest.get(), again.digest.get());
  EXPECT_NE(first.digest.get(), other.digest.get());
  EXPECT_TRUE(torch::equal(first.tensors.at("embeddings.LayerNorm.weight"), torch::ones({8})));
}

TEST_F(EncoderWeightsTest, ReadsWhatTorchSaved) {
  c10::Dict<std::string, at::Tensor> dict;
  for (const auto& [name, tensor] : tensors_) dict.insert(name, tensor);
  const std::vector<char> bytes = torch::pickle_save(dict);
  std::ofstream(folder_ + "/pytorch_model.bin", std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const EncoderWeights weights = load_encoder(folder_, 1);
  for (const auto& [name, tensor] : tensors_) EXPECT_TRUE(torch::equal(weights.tensors.at(name), tensor)) << name;
}

// Faults of the file itself: each is refused with its name before a byte is used.
TEST_F(EncoderWeightsTest, RefusesFilesThatAreNotWhole) {
  const std::string path = folder_ + "/bad.safetensors";
  const std::map<std::string, at::Tensor> one{{"a", torch::ones({4})}};
  const auto refuse = [&](const std::string& header, const std::string& expected) {
    write_safetensors(path, one, header);
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
  refuse(R"(["a"])", "not a JSON object");
  refuse(R"({"a":)", "not JSON");
  std::ofstream(path, std::ios::binary | std::ios::trunc) << "abc";
  EXPECT_THROW(Safetensors{path}, UserError);
  EXPECT_THROW(Safetensors{folder_ + "/nothing"}, UserError);
}

}  // namespace
}  // namespace hyperx::model
