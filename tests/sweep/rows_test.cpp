#include "sweep/rows.h"

#include "tests/sweep/sweep_fixture.h"

namespace hyperx::sweep {
namespace {

TEST_F(SweepTest, AGridHasEveryCombinationAndSeedsVaryFastest) {
  const Expansion rows = expand("[sweep]\nseeds = 1-2\n[grid]\ntrain.steps = 10 | 20\ntrain.batch_sentences = 4 | 8\n");
  EXPECT_EQ(values(rows, "train.steps"), "10 10 10 10 20 20 20 20");
  EXPECT_EQ(values(rows, "train.batch_sentences"), "4 4 8 8 4 4 8 8");
  EXPECT_EQ(values(rows, "train.seed"), "1 2 1 2 1 2 1 2");
}

TEST_F(SweepTest, AListTakesItsValuesTogetherAndSectionsAddUp) {
  const Expansion rows = expand(
      "[list]\ntrain.steps = 10 | 20 | 30\ntrain.temperature = 1 | 2 | 3\ntrain.schedule = constant\n"
      "[grid rest]\ntrain.steps = 40 | 50\n");
  EXPECT_EQ(values(rows, "train.steps"), "10 20 30 40 50");
  EXPECT_EQ(values(rows, "train.temperature"), "1 2 3 5 5");
  EXPECT_EQ(values(rows, "train.schedule"), "constant constant constant linear linear");
}

TEST_F(SweepTest, ConditionsLeaveRowsOutAndSetFurtherKeys) {
  const Expansion rows = expand(
      "[grid]\ntrain.steps = 10 | 20 | 30\ntrain.learning_rate = 1e-3 | 1e-4\n"
      "[when train.steps = 10 | 20 and train.learning_rate = 0.001]\nskip = yes\n"
      "[when train.learning_rate != 1e-3]\ntrain.warmup_steps = 5\n");
  EXPECT_EQ(values(rows, "train.steps"), "10 20 30 30");
  EXPECT_EQ(values(rows, "train.learning_rate"), "0.0001 0.0001 0.001 0.0001");
  EXPECT_EQ(values(rows, "train.warmup_steps"), "5 5 -1 5");
  EXPECT_EQ(rows.skipped, 2);
  EXPECT_EQ(error_of("[grid]\ntrain.steps = 10\n[when train.steps = 10]\nskip = yes\n"),
            "78 sweep.conf: its [when ...] skip = yes leave out every row");
}

TEST_F(SweepTest, SettingsThatContradictEachOtherAreFoundInTheRow) {
  EXPECT_EQ(error_of("[grid]\ntrain.steps = 100 | 10\ntrain.warmup_steps = 50\n"),
            "78 sweep.conf:5: train.steps = 10, train.warmup_steps = 50: train.warmup_steps = 50 is more than "
            "train.steps = 10: the rate would never reach its height; set train.warmup_steps too");
}

TEST_F(SweepTest, ARowWithoutDataIsFoundBeforeAnythingRuns) {
  folder_.write("other.conf", "train.pairs = pos:en\ndata.corpus = c\n");
  const SweepFile file = read_sweep_file(model::options(), specs_, folder_.path("other.conf"));
  const std::string error = test::user_error([&] { maker(sweep()).expand(file); });
  EXPECT_NE(error.find("model.encoder is not set"), std::string::npos) << error;
}

TEST_F(SweepTest, ANameFollowsFromWhatTheResultsDependOn) {
  const auto name = [&](const std::string& text) { return expand(text).rows.at(0).digest; };
  const std::string plain = name("train.steps = 10\n");
  EXPECT_EQ(plain.size(), 32u);
  EXPECT_EQ(name("[grid]\ntrain.steps = 10\n"), plain);                               // wherever it is set
  EXPECT_EQ(name("train.steps = 10\ntrain.temperature = 5\n"), plain);                // a default
  EXPECT_EQ(name("train.steps = 10\nthreads = 3\nparallel.backend = mpi\n"), plain);  // how it is computed
  EXPECT_NE(name("train.steps = 11\n"), plain);
  EXPECT_NE(name("train.steps = 10\neval.every = 7\n"), plain);  // decides which checkpoint is scored
  EXPECT_NE(name("train.steps = 10\ntrain.init_from = other\n"), plain);
}

TEST_F(SweepTest, RowsThatMeanTheSameAreOne) {
  const Expansion rows = expand("[grid]\nmodel.method = hyperx | mbert\nhyperx.adapter_dim = 16 | 32\n");
  EXPECT_EQ(values(rows, "model.method"), "hyperx hyperx mbert");
  ASSERT_EQ(rows.equal_rows.size(), 1u);
  EXPECT_NE(rows.equal_rows[0].find("sweep.conf:5: model.method = mbert, hyperx.adapter_dim = 32 is row 3 again"),
            std::string::npos);
}

TEST_F(SweepTest, WhatASweepVariesTellsRowsApart) {
  EXPECT_EQ(values(expand("[grid]\nthreads = 1 | 2 | 4\n"), "threads"), "1 2 4");
}

}  // namespace
}  // namespace hyperx::sweep
