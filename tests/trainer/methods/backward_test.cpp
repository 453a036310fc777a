// How far back the backward pass of each method goes, and what it reaches.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include <map>
#include <set>

#include "model/methods/madx/madx_options.h"
#include "tests/trainer/tiny_training.h"

namespace hyperx::train {
namespace {

// The nodes of a loss's graph, counted by class.
std::map<std::string, int> nodes_behind(const at::Tensor& loss) {
  std::map<std::string, int> counts;
  std::set<const torch::autograd::Node*> seen;
  std::vector<std::shared_ptr<torch::autograd::Node>> waiting{loss.grad_fn()};
  while (!waiting.empty()) {
    const auto node = waiting.back();
    waiting.pop_back();
    if (!seen.insert(node.get()).second) continue;
    const std::string name = node->name();
    ++counts[name.find("PackedAttention") != std::string::npos ? "attention" : name];
    for (const auto& edge : node->next_edges())
      if (edge.function) waiting.push_back(edge.function);
  }
  return counts;
}

class BackwardTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data({"mlm aa train text bb.dev.txt", "mlm aa dev text bb.txt"});
    return data;
  }
  static std::map<std::string, int> nodes_of(const Config& config) {
    std::map<std::string, int> found;
    comm::ThreadRanks(1).run([&](comm::Communicator& ranks) {
      RankTraining training(data(), config, ranks);
      const data::StepBatch batch = data::make_step(training.maker, training.mixture.plan(0), {0, 1, {}, 0});
      const data::Pair pair = training.maker.pairs().at(static_cast<size_t>(batch.draws.at(0).pair));
      training.model.begin_step({pair}, true);
      found = nodes_behind(training.model.loss(training.model.pack(batch.pieces.at(0)), {}));
    });
    return found;
  }
  static Config config_of(const std::string& method, const std::string& pairs) {
    Config config = tiny_training_config();
    config.model.method = method;
    config.train.pairs = pairs;
    return config;
  }
};

TEST_F(BackwardTest, GoesDownToTheLowestTrainedValue) {
  const int layers = static_cast<int>(data().encoder.spec.layers);
  ASSERT_GE(layers, 2);
  EXPECT_EQ(nodes_of(config_of("mbert", "pos:aa")).at("attention"), layers);
  EXPECT_EQ(nodes_of(config_of("hyperx", "pos:aa")).at("attention"), layers) << "down to the embeddings' LayerNorm";
  // A language's invertible adapter comes before the first layer; without it, and for a task, the lowest adapter is
  // behind the first layer's attention.
  Config language = config_of("madx", "mlm:aa");
  EXPECT_EQ(nodes_of(language).at("attention"), layers);
  language.sections.edit<model::MadxOptions>().invertible = "none";
  EXPECT_EQ(nodes_of(language).at("attention"), layers - 1);

  data::test::TemporaryFolder folder;
  train_run(data(), language, folder.path("aa"), {});
  Config task = config_of("madx", "pos:aa");
  task.sections.edit<model::MadxOptions>().train = "task";
  task.sections.edit<model::MadxOptions>().language_adapters = folder.path("aa");
  const auto nodes = nodes_of(task);
  EXPECT_EQ(nodes.at("attention"), layers - 1);
  EXPECT_EQ(nodes.at("torch::autograd::AccumulateGrad"), 4 * layers + 2) << "adapters and head alone get a gradient";
}

}  // namespace
}  // namespace hyperx::train
