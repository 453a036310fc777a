#include <gmock/gmock.h>

#include "model/methods/hyperx/hyperx_options.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"
#include "tests/support/mbert_sizes.h"
#include "trainer/estimate/estimate.h"

namespace hyperx::estimate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Hyper-X Base on an encoder of mBERT's size, pos alone in English: all figures below were computed by hand from
// docs/method.md.
Setup mbert_base() {
  Setup setup;
  setup.model.encoder = test::mbert_sizes();
  setup.model.tasks = data::TaskSet::of({"pos"});
  setup.step = step_by_default(setup.model.tasks, setup.model.config.train);
  setup.steps = 100;
  return setup;
}

Device round_device() {
  Device device;
  device.product_rate = 1e12;
  device.attention_rate = 1e11;
  device.element_bandwidth = device.generator_bandwidth = 1e10;
  return device;
}

int64_t values_of(const Setup& setup, const std::string& block) {
  for (const model::BlockCost& each : method_costs(setup, 1).blocks)
    if (each.name == block) return each.values;
  return 0;
}

TEST(ModelSizes, BaseAndSmallHaveThePapersSizes) {
  auto setup = mbert_base();
  model::HyperXOptions& options = setup.model.config.sections.edit<model::HyperXOptions>();
  EXPECT_EQ(values_of(setup, "hypernetwork"), 76088320);
  EXPECT_EQ(values_of(setup, "source"), 74112 + (12 + 1 + 1) * 64);
  const model::EncoderSizes encoder = encoder_sizes(setup.model.encoder);
  EXPECT_EQ(encoder.norms, 38400);
  EXPECT_EQ(encoder.tables, (119547 + 512 + 2) * 768);
  EXPECT_EQ(encoder.products, 12 * (4 * 768 * 768 + 2 * 768 * 3072));
  EXPECT_EQ(setup.model.head(data::TaskSet::all().at("pos")).values, 17 * 769);
  EXPECT_EQ(encoder.without_norms() + encoder.norms, 177262848);
  options.adapter_norm_after = "conditional";
  EXPECT_EQ(values_of(setup, "hypernetwork") - 76088320, 296448);
  options.adapter_norm_after = "none";
  options.projected_dim = 32;
  EXPECT_EQ(values_of(setup, "hypernetwork"), 394240 * 33);
  options.layer_dim = 0;
  EXPECT_EQ(values_of(setup, "hypernetwork"), 12 * 394240 * 33);
}

TEST(Traffic, IsWhatTwoAndFourRanksSend) {
  auto setup = mbert_base();
  const Row two = estimate_row(setup, 2);
  EXPECT_EQ(two.exchange, "factors");
  EXPECT_DOUBLE_EQ(two.bytes_sent, 19129424);  // (12 * 394,240 + 38,400 + 13,073 + 3 figures) * 4, as `train` counts it
  EXPECT_DOUBLE_EQ(estimate_row(setup, 4).bytes_sent, 1.5 * 19129424);
  EXPECT_DOUBLE_EQ(estimate_row(setup, 1).bytes_sent, 0);

  setup.model.config.parallel.exchange = "dense";  // ds [12, 192] in fp64 + 76,088,320 values in place of g
  EXPECT_DOUBLE_EQ(estimate_row(setup, 2).bytes_sent, 4.0 * (51476 + 2 * 12 * 192 + 76088320));

  setup.model.config.parallel.exchange = "auto";
  setup.model.config.train.pairs_per_step = 4;
  setup.step.pairs = 4;
  const Row gathered = estimate_row(setup, 2);
  EXPECT_EQ(gathered.exchange, "gather");
  EXPECT_DOUBLE_EQ(gathered.bytes_sent, 4.0 * (51485 + 4 * 12 * 394240 / 2.0));
}

TEST(Traffic, OfShardedGeneratorsIsOneAllReduceAndASmallOne) {
  auto setup = mbert_base();
  setup.model.config.parallel.generator = "sharded";
  const Row row = estimate_row(setup, 4);
  const double g = 4.0 * 12 * 394240;
  EXPECT_DOUBLE_EQ(row.bytes_sent, 1.5 * 4 * 51476 + 0.75 * g + 1.5 * 8 * (12 * 192 + 1) + 0.75 * g);
  EXPECT_DOUBLE_EQ(row.memory.method, 3 * 4.0 * 76088320 / 4 + 16.0 * 75008);
}

TEST(Memory, IsTheSumOfWhatIsHeld) {
  const Row row = estimate_row(mbert_base(), 1);
  EXPECT_DOUBLE_EQ(row.memory.method, 913059840 + 16.0 * 75008);  // three times W and c, four times P and embeddings
  EXPECT_DOUBLE_EQ(row.memory.generated, 2 * 4.0 * 12 * 394240);  // theta and g
  EXPECT_DOUBLE_EQ(row.memory.encoder, 4.0 * 177224448 + 4.0 * 12 * 3 * 768 * 769);
  EXPECT_DOUBLE_EQ(row.memory.checkpoint, 12.0 * (76088320 + 74112 + 14 * 64 + 38400 + 13073));
  auto bf16 = mbert_base();
  bf16.precision = "bf16";
  EXPECT_DOUBLE_EQ(estimate_row(bf16, 1).memory.encoder,
                   4.0 * 120061 * 768 + 4.0 * 12 * (4 * 768 * 768 + 2 * 768 * 3072));
}

TEST(Memory, OfFullFineTuningIsFourTimesTheEncoder) {
  auto setup = mbert_base();
  setup.model.config.model.method = "mbert";
  const Row row = estimate_row(setup, 2);
  EXPECT_EQ(values_of(setup, "encoder"), 177224448);
  EXPECT_DOUBLE_EQ(row.memory.method, 16.0 * 177224448);
  EXPECT_DOUBLE_EQ(row.memory.encoder, 0);
  EXPECT_DOUBLE_EQ(row.bytes_sent, 4.0 * (177224448 + 51476));
}

TEST(Memory, MicroBatchesBoundTheActivations) {
  auto setup = mbert_base();
  const double whole = estimate_row(setup, 1).memory.activations;
  setup.model.config.train.micro_batch_tokens = 176;  // of 704
  EXPECT_NEAR(estimate_row(setup, 1).memory.activations, whole / 4, 1);
}

TEST(StepWork, CountsOperationsAndPasses) {
  const auto setup = mbert_base();
  const StepWork work = work_of(setup.step, setup.model, method_costs(setup, 1), {});
  const double input = 3 * 768.0 * 768, others = 768.0 * 768 + 2 * 768.0 * 3072, adapter = 2 * 768.0 * 256;
  const double rows = 11 * 704 + 32 * 16;  // the last layer goes on with the words alone
  EXPECT_DOUBLE_EQ(setup.step.tokens, 704);
  EXPECT_DOUBLE_EQ(work.product_operations,
                   12 * 2 * 704 * 2 * input + 2 * rows * (2 * others + 3 * adapter) + 6 * 32 * 16 * 768.0 * 17);
  EXPECT_DOUBLE_EQ(work.generator_bytes, 4 * (8 * 76088320.0 + 4 * 12 * 394240.0));
  EXPECT_DOUBLE_EQ(work.generator_operations, 6 * 12 * 394240.0 * 192);
}

TEST(StepSizes, ComeFromTheCountsOfTheCorpus) {
  data::CorpusIndex index;
  data::PairEntry entry;
  entry.pair = {"pos", "en"};
  data::SplitEntry split;
  split.name = "train";
  split.counts = {100, 900, 2000, 0,
                  50,  50,  0,    20};  // sentences, words, sub-words, unk, empty, truncated, ..., longest
  entry.splits = {split};
  index.pairs = {entry};
  index.labels["pos"] = {"NOUN"};
  const StepSizes step = step_of_corpus(index, {entry.pair}, Config());
  EXPECT_DOUBLE_EQ(step.sentences, 25);  // 100 sentences are four mini-batches
  EXPECT_DOUBLE_EQ(step.tokens, 25 * 22);
  EXPECT_DOUBLE_EQ(step.labelled, 25 * 8);
  EXPECT_DOUBLE_EQ(step.squares, 25 * 22 * 22);  // the longest is as long as the mean
}

TEST(Ranks, ShareSentencesButNeverCutOne) {
  const auto setup = mbert_base();
  EXPECT_DOUBLE_EQ(estimate_row(setup, 3).tokens, 11 * 22);
  auto uneven = mbert_base();
  uneven.step.sentences = 29.2;  // a mean: the last mini-batch of a pass is short
  EXPECT_DOUBLE_EQ(estimate_row(uneven, 1).tokens, uneven.step.tokens);
  const Row many = estimate_row(setup, 1024);
  EXPECT_DOUBLE_EQ(many.tokens, 22);
  EXPECT_THAT(many.notes, testing::ElementsAre(HasSubstr("992 ranks have none; raise train.batch_sentences")));
  EXPECT_THAT(estimate_row(setup, 32).notes, IsEmpty());
}

TEST(Times, AreWorkByRateAndMessagesByLink) {
  auto setup = mbert_base();
  setup.device = round_device();
  setup.link = {"inside", 1e9, 0};
  setup.network = {"outside", 1e8, 1e-3};
  setup.ranks_per_node = 2;
  const Row two = estimate_row(setup, 2);
  EXPECT_DOUBLE_EQ(two.exchange_seconds, 0.019129424);
  const Row four = estimate_row(setup, 4);  // in two nodes: both links, and two hops a message outside
  EXPECT_EQ(four.nodes, 2);
  EXPECT_DOUBLE_EQ(four.exchange_seconds, 0.019129424 + 0.19129424 + 2 * 2e-3);
  EXPECT_NEAR(two.product_seconds,
              work_of(setup.step, setup.model, method_costs(setup, 1), {}).product_operations / 2 / 1e12, 1e-12);
  EXPECT_DOUBLE_EQ(two.generator_seconds, estimate_row(setup, 1).generator_seconds);
  setup.model.config.eval.every = 0;
  EXPECT_GT(estimate_row(setup, 2).run_seconds, 100 * two.step_seconds());
}

TEST(Notes, TellWhatWillNotFitAndTheKey) {
  auto setup = mbert_base();
  setup.memory_limit = 2.5e9;
  EXPECT_THAT(estimate_row(setup, 1).notes,
              testing::ElementsAre(
                  testing::AllOf(HasSubstr("2.50 GB are there"), HasSubstr("set parallel.generator=sharded"))));
  setup.memory_limit = 5e9;
  EXPECT_THAT(estimate_row(setup, 1).notes, IsEmpty());
  setup.model.config.train.batch_sentences = 4096;
  setup.step = step_by_default(setup.model.tasks, setup.model.config.train);
  EXPECT_THAT(estimate_row(setup, 1).notes, testing::ElementsAre(HasSubstr("train.micro_batch_tokens")));
}

TEST(Presets, AreFoundByNameAndWrongNamesGetTheNearest) {
  EXPECT_DOUBLE_EQ(link_preset("ib-ndr400x4").bandwidth, 4 * link_preset("ib-ndr400").bandwidth);
  EXPECT_DOUBLE_EQ(link_preset("ib-xdr800").bandwidth, 100e9);
  EXPECT_DOUBLE_EQ(gpu_preset("h100").memory_bytes, 80e9);
  EXPECT_THAT(test::user_error([] { gpu_preset("h20"); }),
              testing::StartsWith("64 unknown GPU 'h20'; did you mean 'h200'?; there are a10"));
}

TEST(MachineFile, GivesMeasuredRatesAndLimitsWhereThereAreNone) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("machine.json", R"({"measures": [
    {"part": "machine", "what": "product [1024, 768] x [768, 3072] in fp32", "value": 100},
    {"part": "machine", "what": "the same in bf16, weights packed", "value": 300},
    {"part": "machine", "what": "memory, two read and one written", "value": 10},
    {"part": "rates", "what": "products, fp32", "value": 88}, {"part": "rates", "what": "rest, fp32", "value": 3}]})");
  const Device fp32 = measured_device(path, "fp32"), bf16 = measured_device(path, "bf16");
  EXPECT_FALSE(fp32.limits);
  EXPECT_DOUBLE_EQ(fp32.product_rate, 88e9);
  EXPECT_DOUBLE_EQ(fp32.layer_seconds, 3e-3);
  EXPECT_DOUBLE_EQ(fp32.generator_bandwidth, 10e9);
  EXPECT_TRUE(bf16.limits);
  EXPECT_DOUBLE_EQ(bf16.product_rate, 300e9);
  EXPECT_DOUBLE_EQ(bf16.layer_seconds, 0);
  for (const char* bad : {"{}", "", "7", R"({"measures": 7})", R"({"measures": [{"part": "machine", "what": 3}]})",
                          R"({"measures": []})"}) {
    folder.write("machine.json", bad);
    EXPECT_THAT(test::user_error([&] { measured_device(path, "fp32"); }),
                testing::AllOf(testing::StartsWith("65 " + path), HasSubstr("hyperx-bench machine step")))
        << bad;
  }
}

}  // namespace
}  // namespace hyperx::estimate
