#include "sweep/row_status.h"

#include "common/files.h"
#include "data/tasks/result_file.h"
#include "sweep/collect.h"
#include "sweep/status_report.h"
#include "tests/sweep/sweep_fixture.h"
#include "trainer/run/run_state.h"

namespace hyperx::sweep {
namespace {

constexpr const char* kRows = "[grid]\ntrain.pairs = pos:en | pos:en,ner:en | mlm:* | pos:is | pos:tr\n";
constexpr const char* kEvaluate = "[evaluate]\neval.split = test\n";

class RowStatusTest : public SweepTest {
 protected:
  // state.json as a run of this process would write it.
  static void write_state(const Plan& plan, int64_t row, const std::string& word, const std::string& reason = "") {
    const train::RunDir run{plan.run_folder(row)};
    make_folders(run.path);
    train::RunState state;
    state.state = word;
    state.step = 3;
    state.steps = 10;
    state.started = train::utc_time();
    if (!reason.empty()) state.failure = train::RunFailure{2, "node7", 4, "step", reason};
    train::write_run_state(run, state);
  }
  static std::string words(const std::vector<RowStatus>& statuses) {
    std::string text;
    for (const RowStatus& each : statuses) text += (text.empty() ? "" : " ") + std::string(word_of(each.state));
    return text;
  }
  static void write_result(const Plan& plan, int64_t row, int64_t step, const std::string& pair, double accuracy) {
    data::EvaluationResult result;
    result.pair = data::parse_pair(pair);
    result.split = "test";
    result.main_metric = "accuracy";
    result.metrics.values["accuracy"] = accuracy;
    result.sentences = 150;
    const std::string folder = train::RunDir{plan.run_folder(row)}.results(step, "test");
    make_folders(folder);
    data::write_result(folder, result);
  }
};

TEST_F(RowStatusTest, EveryStateIsReadFromTheRunFolder) {
  const Plan made = plan(kRows);
  write_state(made, 1, "running");
  write_state(made, 2, "saved");
  write_state(made, 3, "failed", "a gradient with nan");
  write_state(made, 4, "finished");
  const auto all = status_of_all(made, Submissions());
  EXPECT_EQ(words(all), "running saved failed finished pending");
  EXPECT_EQ(all[2].reason, "a gradient with nan");
  EXPECT_EQ(all[2].place, "rank 2 on node7, step 4");
  EXPECT_EQ(all[0].step, 3);
  EXPECT_TRUE(all[3].done(made));
  const SweepProgress progress = progress_of(made, all);
  EXPECT_EQ(progress.done, 1);
  EXPECT_EQ(progress.rows, 5);
  EXPECT_EQ(progress.counts[static_cast<int>(RowState::kPending)], 1);
}

TEST_F(RowStatusTest, ADamagedOrForeignStateIsAFailureOfThatRowOnly) {
  const Plan made = plan(kRows);
  write_state(made, 2, "saved");
  make_folders(made.run_folder(1));
  write_file_atomically(made.run_folder(1) + "/state.json", "{\"state\": \"run");
  const auto all = status_of_all(made, Submissions());
  EXPECT_EQ(words(all), "failed saved pending pending pending");
  EXPECT_NE(all[0].reason.find("is not JSON"), std::string::npos);
}

TEST_F(RowStatusTest, AProcessThatIsGoneIsLost) {
  const Plan made = plan(kRows);
  write_state(made, 1, "running");
  const std::string path = made.run_folder(1) + "/state.json";
  nlohmann::json state = nlohmann::json::parse(read_file(path));
  state["process"]["start_ticks"] = state["process"]["start_ticks"].get<int64_t>() - 1;  // another one had this number
  write_file_atomically(path, state.dump());
  EXPECT_EQ(status_of(made, 1).state, RowState::kLost);
}

TEST_F(RowStatusTest, ARowIsEvaluatedOnlyWithTheSettingsOfThePlan) {
  const Plan made = plan(std::string(kRows) + kEvaluate);
  write_state(made, 1, "finished");
  EXPECT_EQ(status_of(made, 1).state, RowState::kFinished);
  EXPECT_FALSE(status_of(made, 1).done(made));
  write_result(made, 1, 10, "pos:en", 0.5);
  note_evaluated(made, 1, made.evaluations[0]);
  EXPECT_EQ(status_of(made, 1).state, RowState::kEvaluated);
  EXPECT_EQ(evaluated_step(made, 1, made.evaluations[0]), 10);
  Plan other = made;
  other.evaluations[0].settings.emplace_back("eval.pairs", "pos:*");
  EXPECT_EQ(status_of(other, 1).state, RowState::kFinished);
}

TEST_F(RowStatusTest, ASubmissionCountsUntilTheRowStirs) {
  const Plan made = plan(kRows);
  write_state(made, 1, "failed", "x");
  Submissions submissions = Submissions::read(made);
  submissions.write({"2000-01-01T00:00:00Z", "t1", "7", 0, {1, 2}});  // before the failure
  EXPECT_EQ(words(status_of_all(made, submissions)), "failed submitted pending pending pending");
  submissions.write({"2999-01-01T00:00:00Z", "t2", "8", 0, {1}});
  EXPECT_EQ(words(status_of_all(made, Submissions::read(made))), "submitted submitted pending pending pending");
}

TEST_F(RowStatusTest, TheNoteOfAJobTakesThePlaceOfTheIntention) {
  const Plan made = plan(kRows);
  Submissions submissions = Submissions::read(made);
  submissions.write({"2026-01-01T00:00:00Z", "t", "", 2, {3, 4, 5}});
  EXPECT_EQ(submissions.last_of(4)->job, "");
  submissions.write({"2026-01-01T00:00:00Z", "t", "12", 2, {3}});  // a job per row: only the first was submitted
  const Submissions read = Submissions::read(made);
  ASSERT_EQ(read.all().size(), 1u);
  EXPECT_EQ(read.last_of(3)->task(3), "12_1");
  EXPECT_EQ(read.last_of(4), nullptr);
  folder_.write("sweeps/sweep/submissions.tsv", "head\na\tb\n");
  EXPECT_NE(test::user_error([&] { Submissions::read(made); }).find("submissions.tsv:2: "), std::string::npos);
}

TEST_F(RowStatusTest, TheTableHasEveryRowAndQuotesWhatASpreadsheetWouldSplit) {
  const Plan made = plan(std::string(kRows) + kEvaluate);
  write_state(made, 2, "finished");
  write_result(made, 2, 8, "pos:en", 0.25);  // an older checkpoint's
  write_result(made, 2, 10, "pos:en", 0.5);
  write_result(made, 2, 10, "ner:en", 0.125);
  write_state(made, 3, "failed", "said \"no\", twice");
  const ScoreTable table = collect_scores(made, status_of_all(made, Submissions()));
  EXPECT_EQ(table.scored, 1);
  const auto row = [&](int64_t number) { return std::to_string(number) + "," + made.row(number).digest; };
  EXPECT_EQ(
      table.csv,
      "row,digest,train.pairs,state,step,reason,test ner:en accuracy,test ner:en n,test pos:en accuracy,test pos:en "
      "n\n" +
          row(1) + ",pos:en,pending,0,,,,,\n" + row(2) + ",\"pos:en,ner:en\",finished,3,,0.125,150,0.5,150\n" + row(3) +
          ",mlm:*,failed,3,\"said \"\"no\"\", twice\",,,,\n" + row(4) + ",pos:is,pending,0,,,,,\n" + row(5) +
          ",pos:tr,pending,0,,,,,\n");
}

}  // namespace
}  // namespace hyperx::sweep
