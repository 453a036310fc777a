#include "data/tasks/task_set.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/data/tasks/known_task.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(TaskSet, DeclaresLabels) {
  EXPECT_EQ(known_task("pos").labels().size(), 17U);
  EXPECT_EQ(TaskSet::of({"pos"}, with_multiword("keep")).at("pos").labels().back(), "_");
  EXPECT_THAT(known_task("ner").labels(), ElementsAre("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"));
  EXPECT_TRUE(known_task("mlm").masked());
  EXPECT_EQ(known_task("pos").label_of("ADP"), LabelId{1});
  EXPECT_EQ(known_task("pos").label_of("_"), std::nullopt);
}

TEST(TaskSet, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(user_error([] { TaskSet::of({"dep2"}); }),
              AllOf(StartsWith("78 unknown task, value 'dep2'"), HasSubstr("pos, ner, mlm, dep")));
  EXPECT_THAT(user_error([] { TaskSet::of({"pos"}, with_multiword("maybe")); }), HasSubstr("pos.multiword"));
  EXPECT_THAT(user_error([] { TaskSet::of({"ner"}).at("pos"); }), StartsWith("78 unknown task, value 'pos'"));
  EXPECT_THAT(user_error([] {
                TaskSet::of_labels({{"dep2", {"root"}}}, {}, "c/index.json");
              }),
              StartsWith("65 c/index.json: holds the task 'dep2'"));
}

TEST(TaskSet, KeepsOrderAndLabelsThroughACheckpoint) {
  TaskSet tasks = TaskSet::of({"ner", "mlm"});
  tasks.add("pos", {"B", "A"});
  const nlohmann::json json = tasks.to_json();
  EXPECT_EQ(json[1], nlohmann::json::parse(R"({"name": "mlm", "labels": [], "masked": true})"));
  const TaskSet back = TaskSet::from_json(json, "model.h5");
  EXPECT_THAT(back.names(), ElementsAre("ner", "mlm", "pos"));
  EXPECT_THAT(back.at("pos").labels(), ElementsAre("B", "A"));
  EXPECT_THAT(back.only({"pos", "ner"}).names(), ElementsAre("pos", "ner"));
  auto other = json;
  other[0]["name"] = "dep2";
  EXPECT_THAT(user_error([&] { TaskSet::from_json(other, "model.h5"); }), StartsWith("65 model.h5: "));
}

TEST(TaskSet, EachTaskReadsItsFormats) {
  EXPECT_EQ(formats_of(known_task("pos")), "conllu or tagged");
  EXPECT_EQ(formats_of(known_task("ner")), "tagged");
  EXPECT_EQ(formats_of(known_task("mlm")), "text");
  SourceSpec source;
  source.format = SourceFormat::kConllu;
  TaskSet::of({"pos"}, with_multiword("keep")).at("pos").complete(source);
  EXPECT_TRUE(source.keep_multiword);
  known_task("pos").complete(source);
  EXPECT_FALSE(source.keep_multiword);
}

TEST(TaskScorers, GiveTheMainMetricOfTheirTask) {
  const std::vector<std::string> tags = {"O", "B-PER", "I-PER"};
  const std::vector<LabelId> gold = {1, 2, 0, 1}, predicted = {2, 2, 0, 1};
  const auto metrics_of = [&](const Task& task) {
    const auto scorer = task.scorer(tags);
    scorer->add({.gold = gold, .predicted = predicted});
    const MetricSet metrics = scorer->metrics();
    EXPECT_TRUE(metrics.values.contains(task.main_metric())) << task.name();
    return metrics;
  };
  const MetricSet entities = metrics_of(known_task("ner"));
  EXPECT_DOUBLE_EQ(entities.values.at("f1"), 1.0);
  EXPECT_DOUBLE_EQ(entities.values.at("strict_recall"), 0.5);
  EXPECT_DOUBLE_EQ(entities.values.at("accuracy"), 0.75);
  EXPECT_EQ(entities.types.at("PER").support, 2);
  const MetricSet tagging = metrics_of(known_task("pos"));
  EXPECT_DOUBLE_EQ(tagging.values.at("accuracy"), 0.75);
  EXPECT_FALSE(tagging.values.contains("seqeval_f1"));
  EXPECT_EQ(tagging.types.at("B-PER").support, 2);
  Sections options;
  options.edit<PosOptions>().metric = "seqeval";
  const TaskSet seqeval = TaskSet::of({"pos"}, options);
  EXPECT_DOUBLE_EQ(metrics_of(seqeval.at("pos")).values.at("seqeval_f1"), 1.0);
}

TEST(TaskScorers, PerplexityIsOfTheMeanLoss) {
  const auto scorer = known_task("mlm").scorer({});
  EXPECT_TRUE(std::isnan(scorer->metrics().values.at("loss")));
  scorer->add({.loss = 3, .masked = 1});
  scorer->add({.loss = 3, .masked = 2});
  EXPECT_DOUBLE_EQ(scorer->metrics().values.at(known_task("mlm").main_metric()), 2.0);
  EXPECT_DOUBLE_EQ(scorer->metrics().values.at("perplexity"), std::exp(2.0));
}

}  // namespace
}  // namespace hyperx::data
