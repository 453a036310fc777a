#include "data/tasks/entities/entity_f1.h"

#include <gmock/gmock.h>

#include <chrono>

#include "common/files.h"
#include "data/tasks/tagging/accuracy.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;

using nlohmann::json;

const Tags kLabels = {"O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"};
const std::string kCases = test::kReferenceCases + "metrics/";
constexpr double kTolerance = 1e-12;

void expect_score(const Score& score, const json& expected, const std::string& what) {
  EXPECT_NEAR(score.precision, expected.at("precision").get<double>(), kTolerance) << what;
  EXPECT_NEAR(score.recall, expected.at("recall").get<double>(), kTolerance) << what;
  EXPECT_NEAR(score.f1, expected.at("f1").get<double>(), kTolerance) << what;
  if (expected.contains("support")) {
    EXPECT_EQ(score.support, expected.at("support").get<int64_t>()) << what;
  }
}

void expect_scores(const EntityScores& scores, const json& expected, const std::string& what) {
  expect_score(scores.micro, expected.at("micro"), what + " micro");
  expect_score(scores.macro, expected.at("macro"), what + " macro");
  expect_score(scores.weighted, expected.at("weighted"), what + " weighted");
  ASSERT_EQ(scores.types.size(), expected.at("types").size()) << what;
  for (const auto& [type, score] : scores.types) expect_score(score, expected.at("types").at(type), what + " " + type);
}

// [type, first, last] of every sentence, as the case files list them.
json entities_of(const EntityScorer& scorer, const json& sentences) {
  TagNumbers numbers(kLabels);
  json all = json::array();
  for (const json& sentence : sentences) {
    json found = json::array();
    for (const Entity& entity : scorer.entities(numbers(sentence.get<Tags>()), EntityMode::kDefault))
      found.push_back({scorer.types()[static_cast<size_t>(entity.type)], entity.first, entity.last});
    all.push_back(found);
  }
  return all;
}

struct Scorers {
  EntityScorer entities{kLabels};
  AccuracyScorer accuracy{kLabels};

  void add(const json& gold, const json& predicted) {
    TagNumbers numbers(kLabels);
    entities.add(numbers(gold.get<Tags>()), numbers(predicted.get<Tags>()));
    accuracy.add(numbers(gold.get<Tags>()), numbers(predicted.get<Tags>()));
  }
};

TEST(EntityF1, AgreesWithSeqevalOnEveryCase) {
  const json cases = parse_python_json(read_file(kCases + "ner.json")).at("cases");
  ASSERT_EQ(cases.size(), 200U);
  for (size_t number = 0; number < cases.size(); ++number) {
    const json& one = cases[number];
    const std::string what = "case " + std::to_string(number);
    Scorers scorers;
    for (size_t i = 0; i < one["true"].size(); ++i) scorers.add(one["true"][i], one["pred"][i]);
    const EntityScores scores = scorers.entities.default_scores();
    expect_scores(scores, one["default"], what + " default");
    expect_scores(scorers.entities.strict_scores(), one["strict_iob2"], what + " strict");
    EXPECT_NEAR(scorers.accuracy.accuracy(), one["accuracy"].get<double>(), kTolerance) << what;
    ASSERT_EQ(scores.counts.size(), one["counts_default"].size()) << what;
    for (const auto& [type, counts] : scores.counts) {
      const json& expected = one["counts_default"][type];
      EXPECT_EQ(counts, (MatchCounts{expected["true"], expected["pred"], expected["correct"]})) << what << " " << type;
    }
    EXPECT_EQ(entities_of(scorers.entities, one["true"]), one["entities_default_true"]) << what;
    EXPECT_EQ(entities_of(scorers.entities, one["pred"]), one["entities_default_pred"]) << what;
  }
}

TEST(EntityF1, AgreesWithTheOriginalRelease) {
  const json cases = parse_python_json(read_file(kCases + "ner_release.json")).at("cases");
  ASSERT_EQ(cases.size(), 20U);
  for (const json& one : cases) {
    Scorers scorers;
    for (size_t i = 0; i < one["true"].size(); ++i) scorers.add(one["true"][i], one["pred"][i]);
    const EntityScores scores = scorers.entities.default_scores();
    expect_score(scores.micro, one["release"], "release");
    EXPECT_NEAR(scorers.accuracy.accuracy(), one["release"]["accuracy"].get<double>(), kTolerance);
    ASSERT_EQ(scores.types.size(), one["per_type"].size());
    for (const auto& [type, score] : scores.types) {
      expect_score(score, one["per_type"][type], type);
      EXPECT_EQ(score.support, one["per_type"][type]["number"].get<int64_t>());
    }
  }
}

TEST(EntityF1, AnInsideTagWithoutABeginningCountsInDefaultModeAlone) {
  const Tags labels = {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"};
  TagNumbers numbers(labels);
  const EntityScorer scorer(labels);
  const auto sentence = numbers({"I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC"});
  const int loc = 0, per = 1;  // types are sorted
  EXPECT_THAT(scorer.entities(sentence, EntityMode::kDefault),
              testing::ElementsAre(Entity{per, 0, 1}, Entity{per, 2, 2}, Entity{loc, 3, 3}, Entity{loc, 5, 5}));
  EXPECT_THAT(scorer.entities(sentence, EntityMode::kStrict), testing::ElementsAre(Entity{per, 2, 2}));
}

TEST(EntityF1, NothingAtAllScoresZero) {
  EntityScorer scorer(kLabels);
  scorer.add(std::vector<LabelId>{0, 0}, std::vector<LabelId>{0, 0});
  const EntityScores scores = scorer.default_scores();
  EXPECT_EQ(scores.micro, Score{});
  EXPECT_EQ(scores.macro, Score{});
  EXPECT_EQ(scores.weighted, Score{});
  EXPECT_TRUE(scores.types.empty());
}

TEST(EntityF1, WordsWithoutAPredictionMissTheirEntities) {
  EntityScorer scorer(kLabels);
  AccuracyScorer accuracy(kLabels);
  const std::vector<LabelId> gold = {1, 2, 0, 3};
  const std::vector<LabelId> predicted = {1, 2, kNoPrediction, kNoPrediction};
  scorer.add(gold, predicted);
  accuracy.add(gold, predicted);
  const EntityScores scores = scorer.default_scores();
  EXPECT_DOUBLE_EQ(scores.micro.recall, 0.5);
  EXPECT_DOUBLE_EQ(scores.micro.precision, 1.0);
  EXPECT_DOUBLE_EQ(accuracy.accuracy(), 0.5);
  EXPECT_EQ(accuracy.without_prediction(), 2);
  EXPECT_EQ(accuracy.words(), 4);
}

TEST(EntityF1, RefusesATagThatIsNone) {
  for (const char* tag : {"NOUN", "B", "B-", "", "L-PER", "B_PER"})
    EXPECT_THAT(user_error([&] { EntityScorer({"O", tag}); }), testing::HasSubstr("'" + std::string(tag) + "'"));
}

TEST(EntityF1, TakesTimeInProportionToTheWords) {
  // one sentence whose every word is an entity: a search by pairs would take hours
  const std::vector<LabelId> sentence(2'000'000, 1);
  EntityScorer scorer(kLabels);
  const auto begin = std::chrono::steady_clock::now();
  scorer.add(sentence, sentence);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(scorer.default_scores().counts.at("PER").correct, 2'000'000);
}

TEST(Accuracy, TellsTagsApart) {
  AccuracyScorer scorer({"NOUN", "VERB", "X"});
  scorer.add(std::vector<LabelId>{0, 0, 0, 1}, std::vector<LabelId>{0, 0, 1, 1});
  const auto scores = scorer.tag_scores();
  ASSERT_EQ(scores.size(), 2U);  // X stands nowhere
  EXPECT_EQ(scores[0].first, "NOUN");
  EXPECT_DOUBLE_EQ(scores[0].second.recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores[0].second.precision, 1.0);
  EXPECT_EQ(scores[0].second.support, 3);
  EXPECT_DOUBLE_EQ(scores[1].second.precision, 0.5);
  EXPECT_DOUBLE_EQ(scorer.accuracy(), 0.75);
}

}  // namespace
}  // namespace hyperx::data
