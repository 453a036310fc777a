#include "report/resampling.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/random.h"
#include "report/comparison.h"
#include "tests/report/sample_runs.h"
#include "tests/support/errors.h"

namespace hyperx::report {
namespace {

using hyperx::test::SampleRuns;
using hyperx::test::TemporaryFolder;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

// Runs of about these accuracies on `sentences` sentences of 3 to 12 words.
RunCounts draw_counts(const std::vector<double>& accuracies, size_t sentences, uint64_t seed) {
  RunCounts counts(accuracies.size());
  RandomStream random(seed);
  for (size_t i = 0; i < sentences; ++i) {
    const int64_t words = 3 + static_cast<int64_t>(random.below(10));
    for (size_t run = 0; run < accuracies.size(); ++run) {
      data::MetricSums sums{0, words};
      for (int64_t word = 0; word < words; ++word) sums.part += random.uniform() < accuracies[run];
      counts[run].push_back(sums);
    }
  }
  return counts;
}

nlohmann::json json_of(const RunCounts& counts) {
  nlohmann::json runs = nlohmann::json::array();
  for (const auto& run : counts) {
    runs.push_back(nlohmann::json::array());
    for (const auto& sums : run) runs.back().push_back({sums.part, sums.whole});
  }
  return runs;
}

TEST(ResamplingTest, HolmIsTheTextbooks) {
  EXPECT_THAT(holm_corrected({0.01, 0.04, 0.03, 0.005}),
              ElementsAre(DoubleEq(0.03), DoubleEq(0.06), DoubleEq(0.06), DoubleEq(0.02)));
  EXPECT_THAT(holm_corrected({0.9, 0.8}), ElementsAre(1.0, 1.0));
}

TEST(ResamplingTest, EqualSystemsHaveP1AndNoDifference) {
  RunCounts counts = draw_counts({0.8}, 50, 1);
  counts.push_back(counts[0]);
  const Resampling options{1, 500};
  const auto differences = swapped_differences(swapped_sums(counts, options, 0), counts, 1);
  EXPECT_EQ(permutation_p(differences, 0), 1);
}

TEST(ResamplingTest, DrawsFollowFromTheSeed) {
  const RunCounts counts = draw_counts({0.8, 0.7, 0.75}, 40, 1);
  const auto bounds = [&](uint64_t seed) {
    const Resampling options{seed, 300};
    const Bounds found = percentile_bounds(bootstrap_differences(bootstrap_sums(counts, options, 5), 2, options));
    return std::pair(found.low, found.high);
  };
  EXPECT_EQ(bounds(3), bounds(3));
  EXPECT_NE(bounds(3), bounds(4));
}

// The same data in scipy: permutation_test on the exchange of sentences, bootstrap over sentences, and over runs and
// sentences in numpy.
TEST(ResamplingTest, AgreesWithScipy) {
  const char* const python = std::getenv("HYPERX_TEST_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "HYPERX_TEST_PYTHON is not set: launch/setup --dev makes it";
  const RunCounts counts = draw_counts({0.80, 0.78, 0.75, 0.76, 0.74}, 120, 7);
  const RunCounts two = {counts[0], counts[2]};
  const Resampling options{12345, 20000};
  const double difference = mean_score(two, 0, 1) - mean_score(two, 1, 2);
  const Bounds one_level = percentile_bounds(bootstrap_differences(bootstrap_sums(two, options, 1), 1, options));
  const Bounds two_levels = percentile_bounds(bootstrap_differences(bootstrap_sums(counts, options, 1), 2, options));
  const nlohmann::json ours = {
      {"runs", json_of(counts)},
      {"first", 2},
      {"difference", difference},
      {"p", permutation_p(swapped_differences(swapped_sums(two, options, 1), two, 1), difference)},
      {"interval", {one_level.low, one_level.high}},
      {"interval_of_runs", {two_levels.low, two_levels.high}}};
  const TemporaryFolder folder;
  const std::string file = folder.write("ours.json", ours.dump());
  const std::string command =
      std::string(python) + " " HYPERX_SOURCE_DIR "/tests/tools/resample_with_scipy.py " + file + " >&2";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

class ComparisonTest : public testing::Test {
 protected:
  Comparison compare(const std::vector<std::string>& objects) {
    report_ = make_report(select_systems(objects, {}), {}, "");
    return compare_systems(report_, {12345, 200});
  }
  SampleRuns runs_;
  Report report_;
};

constexpr char kHalf[] = "NOUN\tNOUN\nVERB\tNOUN\n\nX\tX\nX\t_\n\n";  // 2 of 4
constexpr char kAll[] = "NOUN\tNOUN\nVERB\tVERB\n\nX\tX\nX\tX\n\n";   // 4 of 4
constexpr char kOther[] = "NOUN\tNOUN\nVERB\tVERB\n\nX\tX\nADJ\tADJ\n\n";
const auto slow = [](Config& config) { config.train.learning_rate = 1e-3; };

TEST_F(ComparisonTest, CountsWordsThroughTheTasksScorer) {
  runs_.add("a", 1, {{"pos:tr", 0.5, false, 2, "s", kHalf}});
  runs_.add("b", 1, {{"pos:tr", 1.0, false, 2, "s", kAll}}, slow);
  const Comparison found = compare({runs_.path()});
  ASSERT_EQ(found.tests.size(), 1U);
  EXPECT_DOUBLE_EQ(found.tests[0].first_score, 0.5);
  EXPECT_DOUBLE_EQ(found.tests[0].difference, -0.5);
  EXPECT_EQ(found.tests[0].sentences, 2U);
  EXPECT_GT(found.tests[0].p, 0.4);  // 2 of the 4 exchanges are as large
  EXPECT_EQ(found.means.size(), 1U);
  EXPECT_THAT(text_comparison(found, report_), HasSubstr("200 trials each, seed 12345"));
}

TEST_F(ComparisonTest, EntitiesAndTreesAreCountedAsTheyAreScored) {
  // 1 of 2 gold entities, 1 predicted: F1 2/3. LAS 1 of 3, where the last word has no prediction.
  const std::string entities = "B-PER\tB-PER\nI-PER\tI-PER\nO\tO\n\nB-LOC\t_\n\n";
  const std::string trees = "2\tnsubj\t2\tnsubj\n0\troot\t1\troot\n2\tpunct\t_\t_\n\n";
  const double f1 = 2.0 / 3, las = 1.0 / 3;
  runs_.add("a", 1, {{"ner:tr", f1, false, 2, "s", entities}, {"dep:tr", las, false, 1, "s", trees}});
  runs_.add("b", 1, {{"ner:tr", f1, false, 2, "s", entities}, {"dep:tr", las, false, 1, "s", trees}}, slow);
  const Comparison found = compare({runs_.path()});
  ASSERT_EQ(found.tests.size(), 2U);
  for (const auto& test : found.tests) {
    EXPECT_EQ(test.difference, 0) << test.name;
    EXPECT_EQ(test.p, 1) << test.name;
  }
  EXPECT_THAT(found.means, testing::SizeIs(3));  // of dep, of ner, of all
}

TEST_F(ComparisonTest, MissingPredictionsAreAnErrorWithTheCommand) {
  runs_.add("a", 1, {{"pos:tr", 0.5, false, 2, "s", kHalf}});
  runs_.add("b", 1, {{"pos:tr", 1.0, false, 2, "s"}, {"ner:tr", 1.0}}, slow);
  EXPECT_THAT(
      hyperx::test::user_error([&] { compare({runs_.path()}); }),
      HasSubstr("hyperx evaluate " + runs_.path("b") +
                "/checkpoints/step-0000010 --eval.split test --eval.pairs ner:tr,pos:tr --eval.predictions yes"));
}

TEST_F(ComparisonTest, OtherPredictionsOrGoldTagsAreAnError) {
  runs_.add("a", 1, {{"pos:tr", 0.5, false, 2, "s", kHalf}});
  runs_.add("b", 1, {{"pos:tr", 1.0, false, 2, "s", kOther}}, slow);
  EXPECT_THAT(hyperx::test::user_error([&] { compare({runs_.path()}); }),
              HasSubstr("the gold tags differ, first in sentence 2"));
  runs_.add("b", 1, {{"pos:tr", 0.75, false, 2, "s", kAll}}, slow);
  EXPECT_THAT(hyperx::test::user_error([&] { compare({runs_.path()}); }), HasSubstr("of different evaluations"));
}

TEST_F(ComparisonTest, OneSystemCannotBeCompared) {
  runs_.add("a", 1, {{"pos:tr", 0.5}});
  EXPECT_THAT(hyperx::test::user_error([&] { compare({runs_.path("a")}); }), HasSubstr("64 two systems are needed"));
}

}  // namespace
}  // namespace hyperx::report
