#include "data/tasks/tagging/seqeval_pos.h"

#include <gmock/gmock.h>

#include "common/files.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/data/test_data.h"

namespace hyperx::data {
namespace {

using nlohmann::json;

constexpr double kTolerance = 1e-12;
const std::string kCase = test::kReferenceCases + "metrics/pos_release.json";

void expect_score(const Score& score, const json& expected, const std::string& what) {
  EXPECT_NEAR(score.precision, expected.at("precision").get<double>(), kTolerance) << what;
  EXPECT_NEAR(score.recall, expected.at("recall").get<double>(), kTolerance) << what;
  EXPECT_NEAR(score.f1, expected.at("f1").get<double>(), kTolerance) << what;
}

TEST(SeqevalPos, AgreesWithTheOriginalReleaseOnEveryCase) {
  const json file = parse_python_json(read_file(kCase));
  ASSERT_EQ(file["cases"].size(), 40U);
  for (size_t number = 0; number < file["cases"].size(); ++number) {
    const json& one = file["cases"][number];
    const std::string what = "case " + std::to_string(number);
    TagNumbers numbers(file["labels"].get<Tags>());
    SeqevalPosScorer scorer(numbers.names());
    for (size_t i = 0; i < one["true"].size(); ++i)
      scorer.add(numbers(one["true"][i].get<Tags>()), numbers(one["pred"][i].get<Tags>()));
    expect_score(scorer.overall(), one["release"], what);
    const auto types = scorer.types();
    ASSERT_EQ(types.size(), one["per_type"].size()) << what;
    for (const auto& [type, score] : types) {
      expect_score(score, one["per_type"][type], what + " " + type);
      EXPECT_EQ(score.support, one["per_type"][type]["number"].get<int64_t>()) << what << " " << type;
    }
  }
}

TEST(SeqevalPos, NeighboursOfOneTypeMerge) {
  const Tags labels = {"SCONJ", "CCONJ", "NOUN", "VERB"};
  TagNumbers numbers(labels);
  SeqevalPosScorer scorer(labels);
  // NOUN NOUN is one chunk; of C-CONJ S-CONJ the second's S begins a new one, C after S goes on only by its type
  scorer.add(numbers({"NOUN", "NOUN", "CCONJ", "SCONJ", "VERB"}), numbers({"NOUN", "NOUN", "CCONJ", "SCONJ", "NOUN"}));
  const auto types = scorer.types();
  EXPECT_EQ(types.at("OUN").support, 1);
  EXPECT_DOUBLE_EQ(types.at("OUN").precision, 0.5);
  EXPECT_DOUBLE_EQ(types.at("OUN").recall, 1.0);
  EXPECT_DOUBLE_EQ(types.at("ERB").recall, 0.0);
}

TEST(SeqevalPos, TheOrderOfSentencesMatters) {
  // an X after an O begins no chunk but ends one, with the beginning of the sentence before: there gold and prediction
  // differ
  const Tags labels = {"X", "NOUN"};
  TagNumbers numbers(labels);
  const auto x_noun = numbers({"X", "NOUN"}), x_x = numbers({"X", "X"});
  SeqevalPosScorer one_way(labels), other_way(labels);
  one_way.add(x_x, x_noun);
  one_way.add(x_noun, x_noun);
  other_way.add(x_noun, x_noun);
  other_way.add(x_x, x_noun);
  EXPECT_DOUBLE_EQ(one_way.overall().recall, 1.0 / 2);  // 1 of 2, as seqeval says
  EXPECT_DOUBLE_EQ(other_way.overall().recall, 1.0);    // 2 of 2
}

TEST(SeqevalPos, AWordWithoutAPredictionIsReadAsUnderscore) {
  const Tags labels = {"NOUN", "VERB", "_"};
  TagNumbers numbers(labels);
  SeqevalPosScorer missing(labels), underscore(labels);
  const auto gold = numbers({"NOUN", "VERB", "NOUN"});
  missing.add(gold, std::vector<LabelId>{0, kNoPrediction, 0});
  underscore.add(gold, std::vector<LabelId>{0, 2, 0});
  EXPECT_EQ(missing.overall(), underscore.overall());
  EXPECT_EQ(missing.types(), underscore.types());
  EXPECT_LT(missing.overall().recall, 1.0);
}

}  // namespace
}  // namespace hyperx::data
