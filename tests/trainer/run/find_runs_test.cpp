#include "trainer/run/find_runs.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::train {
namespace {

using testing::ElementsAre;
using testing::StartsWith;
namespace fs = std::filesystem;

class FindRuns : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  test::TemporaryFolder folder_{test::TemporaryFolder::Where::kMemory};
};

TEST_F(FindRuns, AtAnyDepthAndSorted) {
  folder_.write("runs/b/state.json", "{}");
  folder_.write("runs/a/metrics.jsonl", "");
  folder_.write("runs/sweep/2/lock", "");
  folder_.write("runs/sweep/1/checkpoints/latest", "");
  folder_.write("runs/empty/notes.txt", "");
  folder_.write("runs/.hidden/state.json", "{}");
  folder_.write("runs/b/inner/state.json", "{}");  // within a run: none of its own
  EXPECT_THAT(find_runs({path("runs")}).runs,
              ElementsAre(path("runs/a"), path("runs/b"), path("runs/sweep/1"), path("runs/sweep/2")));
  EXPECT_THAT(find_runs({path("runs/b/"), path("runs")}).runs,
              ElementsAre(path("runs/b"), path("runs/a"), path("runs/sweep/1"), path("runs/sweep/2")));
}

TEST_F(FindRuns, ALinkCountsOnlyIfItLeadsToARun) {
  folder_.write("elsewhere/run/state.json", "{}");
  folder_.write("runs/a/state.json", "{}");
  fs::create_directory_symlink(path("elsewhere/run"), path("runs/linked"));
  fs::create_directory_symlink(path("runs"), path("runs/circle"));
  EXPECT_THAT(find_runs({path("runs")}).runs, ElementsAre(path("runs/a"), path("runs/linked")));
}

TEST_F(FindRuns, MissingOrWithoutARun) {
  folder_.write("nothing/notes.txt", "");
  EXPECT_THAT(test::user_error([&] { find_runs({path("missing")}); }), StartsWith("66 "));
  EXPECT_THAT(test::user_error([&] { find_runs({path("nothing")}); }), StartsWith("66 "));
  EXPECT_THAT(test::user_error([&] { find_runs({}); }), StartsWith("64 "));
}

}  // namespace
}  // namespace hyperx::train
