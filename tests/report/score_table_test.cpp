#include "report/score_table.h"

#include <gmock/gmock.h>

#include <cmath>

#include "report/writers.h"
#include "tests/report/sample_runs.h"
#include "tests/support/errors.h"

namespace hyperx::report {
namespace {

using hyperx::test::SampleRuns;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class ScoreTableTest : public testing::Test {
 protected:
  Report report(const std::vector<std::string>& objects) const {
    return make_report(select_systems(objects, {}), {}, "");
  }
  const Row& row(const Report& report, const std::string& pair) const {
    for (const TaskTable& table : report.tables)
      for (const Row* row : table.rows())
        if (row->pair.name() == pair) return *row;
    throw std::runtime_error("no row " + pair);
  }
  const MeanRow* mean(const Report& report, const std::string& name) const {
    for (const MeanRow& mean : report.tables[0].means)
      if (mean.name == name) return &mean;
    return nullptr;
  }
  SampleRuns runs_;
};

constexpr double kSlow = 1e-3;
const auto slow = [](Config& config) { config.train.learning_rate = kSlow; };

TEST_F(ScoreTableTest, RunsThatDifferInTheSeedAreOneSystem) {
  runs_.add("a-s1", 1, {{"pos:tr", 0.5}, {"pos:kk", 0.7}});
  runs_.add("a-s2", 2, {{"pos:tr", 0.6}, {"pos:kk", 0.8}});
  runs_.add("b-s1", 1, {{"pos:tr", 0.7}, {"pos:kk", 0.7}}, slow);
  const Report found = report({runs_.path()});
  ASSERT_THAT(found.systems(), SizeIs(2));
  EXPECT_EQ(found.systems()[0].label, "a");
  EXPECT_EQ(found.systems()[1].label, "b-s1");
  const Row& turkish = row(found, "pos:tr");
  EXPECT_NEAR(turkish.cells[0].mean, 0.55, 1e-12);
  EXPECT_NEAR(turkish.cells[0].deviation, 0.1 / std::sqrt(2), 1e-12);
  EXPECT_TRUE(std::isnan(turkish.cells[1].deviation));
  EXPECT_THAT(turkish.places, ElementsAre(Place::kNone, Place::kBest));
  // The deviation of a mean is that of the seeds' means.
  EXPECT_NEAR(mean(found, "mean, all")->deviations[0], 0.1 / std::sqrt(2), 1e-12);
  EXPECT_EQ(mean(found, "mean, never trained")->rows, 2U);
  EXPECT_THAT(found.notes(), IsEmpty());
}

TEST_F(ScoreTableTest, PartitionsUnderOneLabelScoreWhatTheyDidNotTrain) {
  const auto trains = [](const std::string& pairs) { return [pairs](Config& config) { config.train.pairs = pairs; }; };
  runs_.add("p1", 1, {{"pos:tr", 0.9, true}, {"pos:kk", 0.2}, {"pos:en", 0.95, true}}, trains("pos:{en,tr}"));
  runs_.add("p2", 1, {{"pos:tr", 0.3}, {"pos:kk", 0.8, true}, {"pos:en", 0.85, true}}, trains("pos:{en,kk}"));
  const Report joined = report({"X=" + runs_.path("p1") + "," + runs_.path("p2")});
  ASSERT_THAT(joined.systems(), SizeIs(1));
  EXPECT_NEAR(row(joined, "pos:tr").cells[0].mean, 0.3, 1e-12);
  EXPECT_NEAR(row(joined, "pos:kk").cells[0].mean, 0.2, 1e-12);
  EXPECT_NEAR(row(joined, "pos:en").cells[0].mean, 0.9, 1e-12);  // no run has left it out
  EXPECT_TRUE(row(joined, "pos:en").cells[0].trained);
  EXPECT_FALSE(row(joined, "pos:tr").cells[0].trained);
  const Report apart = report({runs_.path("p?")});
  EXPECT_THAT(apart.systems(), SizeIs(2));
  EXPECT_THAT(apart.notes(), ElementsAre(HasSubstr("differ in train.pairs only")));
}

TEST_F(ScoreTableTest, LanguagesThatTheEncoderHasReadAreKnown) {
  runs_.write_file("encoder/languages.txt", "tr\n");
  const auto with = [&](const std::string& encoder) { return [encoder](Config& c) { c.model.encoder = encoder; }; };
  runs_.add("a", 1, {{"pos:tr", 0.5}, {"pos:kk", 0.6}}, with("random:" + runs_.path("encoder")));
  const Report found = report({runs_.path("a")});
  EXPECT_EQ(row(found, "pos:tr").read_by_encoder, true);
  EXPECT_EQ(row(found, "pos:kk").read_by_encoder, false);
  EXPECT_EQ(mean(found, "mean, not read by the encoder")->rows, 1U);
  EXPECT_THAT(text_report(found), HasSubstr("Kazakh (kk)°"));
  runs_.add("b", 2, {{"pos:tr", 0.5}, {"pos:kk", 0.6}}, with(runs_.path("other")));
  EXPECT_THAT(report({runs_.path("[ab]")}).systems(), SizeIs(2));
}

TEST_F(ScoreTableTest, RunsOfOneLabelMayNotDifferInAnythingElse) {
  runs_.add("a", 1, {{"pos:tr", 0.5}});
  runs_.add("b", 2, {{"pos:tr", 0.5}}, slow);
  EXPECT_THAT(hyperx::test::user_error([&] { report({"X=" + runs_.path()}); }),
              HasSubstr("64 X cannot be one system: train.learning_rate is '0.0001' in "));
}

TEST_F(ScoreTableTest, ARowWithAMissingScoreIsNotRankedAndInNoMean) {
  runs_.add("a", 1, {{"pos:tr", 0.5}, {"pos:kk", 0.9}});
  runs_.add("b", 1, {{"pos:kk", 0.7}}, slow);
  const Report found = report({runs_.path()});
  EXPECT_THAT(row(found, "pos:tr").places, ElementsAre(Place::kNone, Place::kNone));
  EXPECT_THAT(row(found, "pos:kk").places, ElementsAre(Place::kBest, Place::kNone));
  EXPECT_EQ(mean(found, "mean, all")->rows, 1U);
  EXPECT_NEAR(mean(found, "mean, all")->values[0], 0.9, 1e-12);
  EXPECT_THAT(found.notes(), ElementsAre("b: no result for pos:tr: not ranked there, and these pairs are in no mean"));
  EXPECT_TRUE(found.is_uneven());
}

TEST_F(ScoreTableTest, OtherTestFilesAreMarked) {
  runs_.add("a", 1, {{"pos:tr", 0.5}, {"pos:kk", 0.5}});
  runs_.add("b", 1, {{"pos:tr", 0.6, false, 99}, {"pos:kk", 0.6, false, 100, "UD@ffffffffffff"}}, slow);
  const Report found = report({runs_.path()});
  EXPECT_THAT(row(found, "pos:tr").uneven, HasSubstr("100 sentences of 1000 words and 99 of 990"));
  EXPECT_THAT(row(found, "pos:kk").uneven, HasSubstr("the test files differ: UD@0123456789ab and UD@ffffffffffff"));
  EXPECT_THAT(row(found, "pos:tr").places, ElementsAre(Place::kNone, Place::kNone));
  EXPECT_EQ(mean(found, "mean, all"), nullptr);
  EXPECT_THAT(text_report(found), HasSubstr("Turkish (tr)†"));
}

TEST_F(ScoreTableTest, SeedsThatWereScoredOnOtherFilesAreNotAveraged) {
  runs_.add("a-s1", 1, {{"pos:tr", 0.5}});
  runs_.add("a-s2", 2, {{"pos:tr", 0.7, false, 50}});
  const Report found = report({runs_.path()});
  EXPECT_FALSE(row(found, "pos:tr").cells[0].has_value());
  EXPECT_THAT(text_report(found), HasSubstr("not scored alike"));
}

TEST_F(ScoreTableTest, DamagedAndForeignFilesAreNamedAndTheOthersUsed) {
  runs_.add("a", 1, {{"pos:tr", 0.5}});
  const std::string results = "a/results/step-0000010/test/";
  runs_.write_file(results + "pos.kk.json", "{\"format_version\": 2, \"pair\": ");
  runs_.write_file(results + "notes.json", "[1, 2]");
  runs_.write_file(results + "pos.ug.json", read_file(runs_.path(results + "pos.tr.json")));
  const Report found = report({runs_.path("a")});
  EXPECT_EQ(found.files, 1U);
  EXPECT_THAT(found.selection.problems, SizeIs(3));
  const std::string text = text_report(found);
  EXPECT_THAT(text, HasSubstr("Result files: 1, of runs: 1; files that could not be used: 3."));
  EXPECT_THAT(text, HasSubstr("pos.ug.json: holds the result of pos:tr test"));
  EXPECT_THAT(text, HasSubstr("notes.json"));
  EXPECT_THAT(text, HasSubstr("pos.kk.json: is not JSON"));
}

TEST_F(ScoreTableTest, WithoutAnyResultItIsAnError) {
  runs_.add("a", 1, {});
  EXPECT_THAT(hyperx::test::user_error([&] { report({runs_.path("a")}); }),
              HasSubstr("65 the runs hold no results of the split test"));
  EXPECT_THAT(hyperx::test::user_error([&] { report({runs_.path("none")}); }), HasSubstr("66 "));
  EXPECT_THAT(hyperx::test::user_error([&] { report({"x=" + runs_.path("q*")}); }), HasSubstr("of this pattern"));
}

TEST_F(ScoreTableTest, TheSameSeedTwiceCountsOnce) {
  runs_.add("a", 1, {{"pos:tr", 0.5}});
  runs_.add("b", 1, {{"pos:tr", 0.7}});
  const Report found = report({runs_.path()});
  ASSERT_THAT(found.systems(), SizeIs(1));
  EXPECT_NEAR(row(found, "pos:tr").cells[0].mean, 0.5, 1e-12);
  EXPECT_THAT(found.notes(), ElementsAre(HasSubstr("left out, because")));
}

TEST(PlacesTest, FollowWhatIsShown) {
  EXPECT_THAT(places_of({0.9349, 0.9351, 0.8}, "accuracy"), ElementsAre(Place::kBest, Place::kBest, Place::kSecond));
  EXPECT_THAT(places_of({2.0, 1.0, 3.0}, "loss"), ElementsAre(Place::kSecond, Place::kBest, Place::kNone));
  EXPECT_THAT(places_of({0.5, 0.5}, "f1"), ElementsAre(Place::kNone, Place::kNone));
  EXPECT_THAT(places_of({0.5}, "f1"), ElementsAre(Place::kNone));
}

TEST(LanguagesTest, AreFoundByBothCodes) {
  EXPECT_EQ(find_language("tr").family, "Turkic");
  EXPECT_EQ(find_language("yue").iso639_3, "yue");
  EXPECT_EQ(find_language("yo@masakhaner2").name, "Yoruba");
  EXPECT_EQ(find_language("eu").family, kIsolate);
  EXPECT_EQ(find_language("qqq").family, kUnknownFamily);
  EXPECT_EQ(find_language("qqq").shown(), "qqq");
  EXPECT_TRUE(comes_before(find_language("tr"), find_language("eu")));
  EXPECT_TRUE(comes_before(find_language("eu"), find_language("qqq")));
}

}  // namespace
}  // namespace hyperx::report
