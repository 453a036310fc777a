// The default encoder against Hugging Face's own run of it: ids, and hidden states after 6 and 12 layers.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "data/tokenizer/tokenizer.h"
#include "model/encoder/import/import_encoder.h"
#include "model/encoder/safetensors.h"
#include "model/model.h"
#include "tests/support/folder.h"

namespace hyperx::model {
namespace {

const std::string kCase = HYPERX_SOURCE_DIR "/tests/golden/cases/e5_small/";

data::Batch batch_of(const at::Tensor& ids) {
  data::Batch batch;
  for (int64_t i = 0; i < ids.numel(); ++i) {
    batch.input_ids.push_back(ids[i].item<int64_t>());
    batch.positions.push_back(i);
    batch.label_positions.push_back(i);
    batch.labels.push_back(0);
  }
  const auto count = static_cast<int>(ids.numel());
  batch.sentence_starts = {0, count};
  batch.sentence_slots = {0};
  data::Segment segment;
  segment.token_end = segment.label_end = segment.label_count = count;
  segment.sentence_end = 1;
  batch.segments = {segment};
  return batch;
}

std::vector<at::Tensor> hidden_states(Model& model, const at::Tensor& ids) {
  const at::NoGradGuard no_gradient;
  std::vector<at::Tensor> hidden;
  model.begin_step({{"pos", "en"}}, false);
  model.logits(model.pack(batch_of(ids)), &hidden);
  return hidden;
}

TEST(E5Small, HiddenStatesAreTheReferences) {
  const char* const files = std::getenv("HYPERX_E5_DIR");
  if (files == nullptr) GTEST_SKIP() << "HYPERX_E5_DIR is not set: the files that launch/setup fetches";
  const test::TemporaryFolder scratch;
  const std::string folder = scratch.path("e5"), source = files;
  import_encoder({source + "/e5-small-q4.bin", source + "/tokenizer.json", folder, WeightType::kFloat32});

  Config config;
  config.model.method = "mbert";
  config.model.dropout = config.model.attention_dropout = 0;
  const ModelOptions options{config, data::TaskSet::of({"pos"}), {"en"}, at::kFloat, at::kCPU};
  Model whole(load_encoder(folder, 1), options), half(load_encoder(folder, 1, 6), options);
  const auto tokenizer = data::Tokenizer::load(folder);
  const Safetensors expected(kCase + "case.safetensors");
  const auto sentences = nlohmann::json::parse(read_file(kCase + "case.json"))["sentences"];
  double largest = 0;
  for (size_t k = 0; k < sentences.size(); ++k) {
    const std::string name = std::to_string(k) + ".";
    const at::Tensor ids = expected.tensor(name + "ids");
    std::vector<int32_t> ours{tokenizer->special().begin};
    std::istringstream words(sentences[k].get<std::string>());
    for (std::string word; words >> word;) tokenizer->word(word, ours);
    ours.push_back(tokenizer->special().end);
    EXPECT_TRUE(at::equal(at::tensor(at::ArrayRef<int32_t>(ours), at::kLong), ids)) << k;

    const auto distance = [&](const at::Tensor& found, const std::string& layer) {
      return (found - expected.tensor(name + layer)).abs().max().item<double>();
    };
    const std::vector<at::Tensor> of_whole = hidden_states(whole, ids), of_half = hidden_states(half, ids);
    ASSERT_EQ(of_half.size(), 7U);
    largest = std::max(
        {largest, distance(of_whole[6], "layer6"), distance(of_whole[12], "layer12"), distance(of_half[6], "layer6")});
  }
  std::printf("largest difference to the reference: %.1e\n", largest);
  EXPECT_LT(largest, 2e-5);  // fp32; the largest value is 4.8
}

}  // namespace
}  // namespace hyperx::model
