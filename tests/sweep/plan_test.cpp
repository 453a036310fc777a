#include "sweep/plan.h"

#include <filesystem>
#include <thread>

#include "common/files.h"
#include "sweep/lock_sweep.h"
#include "tests/sweep/sweep_fixture.h"

namespace hyperx::sweep {
namespace {

constexpr const char* kGrid = "[grid]\ntrain.steps = 10 | 20\ntrain.batch_sentences = 4 | 8\n";

TEST_F(SweepTest, APlanIsReadBackAndItsTableIsForPeople) {
  const Plan made = plan(std::string(kGrid) + "[evaluate]\neval.split = test\n");
  const Plan plan = read_plan(sweep() + "/");
  EXPECT_EQ(plan.varying, (std::vector<std::string>{"train.steps", "train.batch_sentences"}));
  ASSERT_EQ(plan.size(), 4);
  EXPECT_EQ(plan.row(3).values, (std::vector<std::string>{"20", "4"}));
  EXPECT_EQ(plan.describe(3), "train.steps = 20, train.batch_sentences = 4");
  EXPECT_EQ(plan.evaluations, made.evaluations);
  EXPECT_EQ(read_file(sweep() + "/rows.tsv").substr(0, 47), "row\tdigest\ttrain.steps\ttrain.batch_sentences\n1\t");
}

TEST_F(SweepTest, TheSettingsOfARowAreCompleteAndHoldInEveryFolder) {
  const Plan made = plan(kGrid);
  Config config;
  CommandSpecs all = specs();
  config::read_settings(model::options(), all.train, made.settings_file(2), config, [](const std::string&, int) {});
  EXPECT_EQ(config.train.steps, 10);
  EXPECT_EQ(config.train.batch_sentences, 8);
  // The paths were relative to the working folder of this test, which lies outside the project.
  EXPECT_EQ(config.data.corpus, std::filesystem::current_path().string() + "/corpus");
  EXPECT_EQ(config.run.dir, made.run_folder(2));
}

TEST_F(SweepTest, ASweepIsMovedWithItsProject) {
  const auto digest = [&](const std::string& project) {
    const std::string path = folder_.write(
        "base.conf", "data.corpus = " + project + "/corpus\nmodel.encoder = " + project + "/e\ntrain.pairs = pos:en\n");
    const RowMaker made(model::options(), specs_, project + "/sweeps/s", project);
    return made.expand(read_sweep_file(model::options(), specs_, path)).rows.at(0).digest;
  };
  EXPECT_EQ(digest(folder_.path("here")), digest(folder_.path("there")));
}

TEST_F(SweepTest, AnExistingSweepIsNeverOverwritten) {
  plan(kGrid);
  const std::string before = read_file(sweep() + "/plan.json");
  EXPECT_NE(test::user_error([&] { plan("train.steps = 5\n"); }).find("73 "), std::string::npos);
  EXPECT_EQ(read_file(sweep() + "/plan.json"), before);
}

TEST_F(SweepTest, ARowIsNamedByNumberDigestOrEntry) {
  const Plan made = plan(kGrid);
  EXPECT_EQ(made.find("3"), 3);
  EXPECT_EQ(made.find(made.row(3).digest), 3);
  EXPECT_EQ(made.find(made.row(3).digest.substr(0, 8)), 3);
  EXPECT_EQ(made.find("{\"row\": 3, \"digest\": \"x\"}"), 3);
  for (const char* name : {"0", "5", "-1", "x", "", "{}", "{\"row\": 9}", "ffffffffffffffffffffffffffffffff"})
    EXPECT_EQ(test::user_error([&] { (void)made.find(name); }).substr(0, 2), "64") << name;
}

TEST_F(SweepTest, AChunkCountsFromItsOffset) {
  const Plan made = plan(kGrid);
  const Plan chunk = read_plan(make_chunk(made, 2));
  EXPECT_EQ(chunk.find("1"), 3);
  EXPECT_EQ(std::filesystem::weakly_canonical(chunk.run_folder(3)),
            std::filesystem::weakly_canonical(made.run_folder(3)));
  EXPECT_EQ(test::user_error([&] { (void)chunk.find("3"); }).substr(0, 2), "64");
}

TEST_F(SweepTest, ExtendingKeepsNumbersAndAddsWhatIsNew) {
  const Plan before = plan(kGrid);
  const SweepFile file = read("[grid]\ntrain.steps = 20 | 30\ntrain.batch_sentences = 4 | 8\nthreads = 0\n");
  const RowMaker made = maker(sweep());
  const Extended result = extend_plan(before, file, made, made.expand(file));
  EXPECT_EQ(result.added, 2);
  EXPECT_EQ(result.kept, 4);
  EXPECT_EQ(result.only_before, 2);
  const Plan after = read_plan(sweep());
  ASSERT_EQ(after.size(), 6);
  for (int64_t row = 1; row <= 4; ++row) EXPECT_EQ(after.row(row).digest, before.row(row).digest);
  EXPECT_EQ(after.row(5).values, (std::vector<std::string>{"30", "4"}));
  EXPECT_EQ(after.sources.size(), 2u);
  EXPECT_EQ(extend_plan(after, file, made, made.expand(file)).added, 0);
}

TEST_F(SweepTest, OneChangesASweepAtATime) {
  plan(kGrid);
  const auto first = lock_sweep(sweep());
  std::string error;
  std::thread([&] { error = test::user_error([&] { lock_sweep(sweep()); }); }).join();
  EXPECT_NE(error.find("73 "), std::string::npos);
  EXPECT_NE(error.find("is submitting or extending this sweep"), std::string::npos) << error;
}

TEST_F(SweepTest, DamagedPlansAreRefused) {
  EXPECT_EQ(test::user_error([&] { read_plan(folder_.path("nothing")); }).substr(0, 2), "66");
  for (const char* text :
       {"{", "{}", "[]", "{\"format_version\": 2}", "{\"format_version\": 1, \"chunk_of\": \"x\", \"offset\": 0}",
        "{\"format_version\": 1, \"project\": \".\", \"varying\": [], \"evaluations\": [], \"sources\": [], "
        "\"rows\": [{\"digest\": \"../x\", \"values\": []}]}"}) {
    folder_.write("sweeps/bad/plan.json", text);
    const std::string error = test::user_error([&] { read_plan(sweep("bad")); });
    EXPECT_TRUE(error.starts_with("65") || error.starts_with("66")) << text << error;
  }
}

}  // namespace
}  // namespace hyperx::sweep
