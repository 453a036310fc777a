// MAD-X in training: what is trained, on any number of ranks, resumed, and scored with the adapters of other languages.
#include "model/methods/madx/madx.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "model/comm/local_communicator.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {
namespace {

using hyperx::test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class MadxTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data({"mlm aa train text bb.dev.txt", "mlm aa dev text bb.txt"});
    return data;
  }

  // One run of each of the languages aa and bb, made once.
  static const std::string& language_runs() {
    static const data::test::TemporaryFolder folder;
    static const std::string path = [] {
      for (const char* language : {"aa", "bb"}) train_run(data(), of_language(language), folder.path(language), {});
      return folder.path();
    }();
    return path;
  }
  static Config of_language(const std::string& language) {
    Config config = tiny_training_config();
    config.model.method = "madx";
    config.train.pairs = "mlm:" + language;
    options(config).language_adapter_dim = 6;
    options(config).task_adapter_dim = 3;
    return config;
  }
  static Config of_task(const std::string& pairs, const std::string& languages = "aa,bb") {
    Config config = of_language("aa");
    config.train.pairs = pairs;
    options(config).train = "task";
    std::istringstream list(languages);
    for (std::string language; std::getline(list, language, ',');)
      options(config).language_adapters +=
          (options(config).language_adapters.empty() ? "" : ",") + language_runs() + "/" + language;
    return config;
  }
  static model::MadxOptions& options(Config& config) { return config.sections.edit<model::MadxOptions>(); }
  static std::string refusal(const Config& config) {
    return user_error([&] { train_on(1, data(), config); });
  }

  data::test::TemporaryFolder folder_;
};

TEST_F(MadxTest, TrainsOneAdapterAndItsHead) {
  const auto names_but = [](const Config& config, const std::string& prefix, const std::string& head) {
    std::vector<std::string> others;
    for (const auto& [name, moment] : train_on(1, data(), config).moments) {
      EXPECT_GT(moment.abs().max().item<double>(), 0) << name << " got no gradient";
      if (!name.substr(2).starts_with(prefix) && !name.substr(2).starts_with(head)) others.push_back(name);
    }
    return others;
  };
  EXPECT_THAT(names_but(of_language("bb"), "madx.languages.bb.", "heads.mlm."), testing::IsEmpty());
  EXPECT_THAT(names_but(of_task("pos:{aa,bb}"), "madx.tasks.pos.", "heads.pos."), testing::IsEmpty());
}

TEST_F(MadxTest, ThreeRanksTrainAsOne) {
  expect_three_ranks_train_as_one(data(), of_language("bb"));
  Config several = of_task("pos:{aa,bb}");  // each batch with its own language's adapter
  several.train.pairs_per_step = 2;
  expect_three_ranks_train_as_one(data(), several);
}

TEST_F(MadxTest, AResumedLanguageRunEndsWithTheSameBytes) {
  expect_resumed_run_is_the_same(data(), of_language("bb"), folder_.path());
}
TEST_F(MadxTest, AResumedTaskRunEndsWithTheSameBytes) {
  expect_resumed_run_is_the_same(data(), of_task("pos:{aa,bb}"), folder_.path());
}

TEST_F(MadxTest, AStackDependsOnTheLanguage) {
  const Trained own = train_on(1, data(), of_task("pos:bb", "bb"));
  Config other = of_task("pos:bb", "aa");
  EXPECT_THAT(refusal(other),
              AllOf(StartsWith("78"), HasSubstr("no adapter of the language bb"), HasSubstr("runs of aa")));
  const Trained both = train_on(1, data(), of_task("pos:bb", "aa,bb"));
  EXPECT_EQ(gap_between(own.values, both.values).largest, 0) << "an adapter that no batch uses changes nothing";
  const Trained mixed = train_on(1, data(), of_task("pos:aa", "aa,bb"));
  EXPECT_GT(gap_between(own.values, mixed.values).largest, 1e-6);
}

// Trained on bb alone, it tags aa with the adapter of aa.
TEST_F(MadxTest, AnotherLanguagesAdapterIsSwappedIn) {
  train_run(data(), of_task("pos:bb"), folder_.path("run"), {});
  const Checkpoint saved = Checkpoint::open(resolve_checkpoint(folder_.path("run")));
  ModelInfo info = ModelInfo::from_json(saved.model_info(), "run");
  EXPECT_THAT(info.languages, testing::ElementsAre("aa", "bb"));
  ASSERT_EQ(info.needed.size(), 2U);
  info.config.train.precision = "fp64";
  comm::ThreadRanks(1).run([&](comm::Communicator& ranks) {
    const auto score = [&](const std::string& adapter_of_aa) {
      ModelInfo used = info;
      options(used.config).language_adapters = adapter_of_aa + "," + language_runs() + "/bb";
      model::Model model(data().encoder, tiny_options(used, ranks));
      load_values(model.parameters(), [&](const auto& targets) { saved.load_model(targets); });
      Evaluator evaluator(model, data().corpus, ranks, info.config, [] {});
      return evaluator.evaluate({{"pos", "aa"}}, "dev").at(0).main_value();
    };
    Config longer = of_language("aa");
    longer.train.steps = 60;
    longer.train.learning_rate = 0.1;
    train_run(data(), longer, folder_.path("aa-again"), {});
    EXPECT_NE(score(language_runs() + "/aa"), score(folder_.path("aa-again")));
  });
  Config longer = of_language("bb");
  longer.train.steps = 13;
  train_run(data(), longer, folder_.path("bb-again"), {});
  ModelInfo changed = info;
  options(changed.config).language_adapters = folder_.path("bb-again");
  EXPECT_THAT(user_error([&] { load_needed_runs(changed); }),
              AllOf(StartsWith("65 "), HasSubstr("bb-again"),
                    HasSubstr("is not what the model was trained with for the language bb")));
}

// With fewer adapters than it was trained beside; a language without one is refused, and results name the adapter.
TEST_F(MadxTest, ALanguageNeedsItsAdapter) {
  Config config = of_task("pos:bb");
  train_run(data(), config, folder_.path("run"), {});
  const Checkpoint saved = Checkpoint::open(resolve_checkpoint(folder_.path("run")));
  ModelInfo info = ModelInfo::from_json(saved.model_info(), "run");
  info.config.train.precision = "fp64";
  options(info.config).language_adapters = " " + language_runs() + "/bb ";
  comm::LocalCommunicator alone;
  model::Model model(data().encoder, tiny_options(info, alone));
  EXPECT_THAT(info.languages, testing::ElementsAre("bb"));
  model.begin_step({{"pos", "bb"}}, false);
  EXPECT_THAT(user_error([&] {
                model.begin_step({{"pos", "aa"}}, false);
              }),
              AllOf(StartsWith("78"), HasSubstr("no adapter of the language aa")));
  EXPECT_THAT(scorer_text(info.config, "accuracy", at::kDouble, model.method().built_on("bb")),
              HasSubstr(",adapter=" + info.needed.at(0).xxh128.substr(0, 12)));
}

TEST_F(MadxTest, RefusesWhatDoesNotMakeOneAdapter) {
  Config two = of_language("aa");
  two.train.pairs = "mlm:*";
  EXPECT_THAT(refusal(two), AllOf(StartsWith("78"), HasSubstr("name one pair, such as mlm:en")));
  EXPECT_THAT(refusal(of_task("pos:aa,ner:aa")), AllOf(StartsWith("78"), HasSubstr("train.pairs has ner, pos")));
  EXPECT_THAT(refusal(of_task("mlm:aa")), StartsWith("78"));
}

TEST_F(MadxTest, RefusesAdaptersThatDoNotFit) {
  EXPECT_THAT(refusal(of_task("pos:aa", "aa,aa")),
              AllOf(StartsWith("65"), HasSubstr("two adapters of the language aa")));
  Config twice = of_task("pos:aa", "aa");
  train_run(data(), twice, folder_.path("task"), {});
  options(twice).language_adapters = folder_.path("task");
  EXPECT_THAT(refusal(twice), AllOf(StartsWith("65"), HasSubstr("is not a run of madx.train = language")));
  options(twice).language_adapters = folder_.path("absent");
  EXPECT_THAT(refusal(twice), AllOf(StartsWith("66"), HasSubstr("absent")));
  Config shallow = of_task("pos:aa", "aa");
  shallow.model.encoder_layers = 1;
  EXPECT_THAT(refusal(shallow), AllOf(StartsWith("65"), HasSubstr("model.encoder_layers")));
}

TEST(InvertibleAdapter, IsInverted) {
  at::manual_seed(3);
  const model::InvertibleAdapter adapter(
      [](const std::string&, at::IntArrayRef shape) { return at::randn(shape, at::kDouble) * 0.3; }, 12, at::kDouble);
  const at::Tensor x = at::randn({5, 12}, at::kDouble), y = adapter.forward(x);
  EXPECT_GT((y - x).abs().max().item<double>(), 0.1);
  EXPECT_LT((adapter.inverse(y) - x).abs().max().item<double>(), 1e-14);
}

}  // namespace
}  // namespace hyperx::train
