#include "sweep/sweep_file.h"

#include "tests/sweep/sweep_fixture.h"

namespace hyperx::sweep {
namespace {

TEST_F(SweepTest, EveryMistakeIsFoundWithFileAndLine) {
  EXPECT_EQ(error_of("[grid]\ntrain.step = 10 | 20\n"),
            "78 sweep.conf:5: unknown key train.step; did you mean train.steps?");
  EXPECT_EQ(error_of("[grid]\ntrain.steps = 10 | many\n"),
            "78 sweep.conf:5: train.steps = 'many': expected an integer, at least 1");
  EXPECT_EQ(error_of("[grid]\nrun.dir = a | b\n"),
            "78 sweep.conf:5: run.dir is chosen by the sweep, one folder per row: leave it out");
  EXPECT_EQ(error_of("data.root = x\n"), "78 sweep.conf:4: data.root is no key of `hyperx train`: leave it out");
  EXPECT_EQ(error_of("train.steps = 10 | 20\n"),
            "78 sweep.conf:4: train.steps has several values here: they belong into [grid] or [list]");
  EXPECT_EQ(error_of("[list]\ntrain.steps = 10 | 20\ntrain.temperature = 1 | 2 | 3\n"),
            "78 sweep.conf:5: train.steps has 2 values, but train.temperature in the same list has 3: give as many, or "
            "one for all");
  EXPECT_EQ(error_of("[sweep]\nseeds = 1-3\n[grid]\ntrain.seed = 4 | 5\n"),
            "78 sweep.conf:7: train.seed is also set by seeds in line 5: remove one of them");
  EXPECT_EQ(error_of("[sweep]\nseeds = one\n"),
            "78 sweep.conf:5: seeds 'one': expected numbers and ranges, such as 1,4-7");
  EXPECT_EQ(error_of("[sweep]\nseed = 1\n"), "78 sweep.conf:5: [sweep] has no key 'seed': it has config and seeds");
  EXPECT_EQ(error_of("[when train.steps]\nskip = yes\n"),
            "78 sweep.conf:5: [when train.steps]: expected [when KEY = VALUE | VALUE and KEY != VALUE]");
  EXPECT_EQ(error_of("[when train.steps = 1]\nskip = perhaps\n"),
            "78 sweep.conf:5: skip = 'perhaps': expected yes or no");
  EXPECT_EQ(error_of("[evaluate]\neval.pairs = pos:*\n"),
            "78 sweep.conf:5: [evaluate] does not say what to score: add eval.split = dev, test or dev | test");
  EXPECT_EQ(error_of("[evaluate]\ntrain.steps = 3\n"),
            "78 sweep.conf:5: train.steps is no key of `hyperx evaluate`: leave it out");
  EXPECT_EQ(error_of("[grid]\ntrain.steps = 1\ntrain.steps = 2\n"),
            "78 sweep.conf:6: grid.train.steps stands in line 5 already: remove one of them");
}

TEST_F(SweepTest, AMistakeInABaseFileNamesThatFile) {
  const std::string base = folder_.write("base.conf", "[train]\nsteps = few\n");
  EXPECT_EQ(error_of("[sweep]\nconfig = " + base + "\n"),
            "78 base.conf:2: train.steps = 'few': expected an integer, at least 1");
}

TEST_F(SweepTest, TheFileWinsOverItsBaseFilesWhereverTheyAreNamed) {
  const std::string first = folder_.write("first.conf", "[train]\nsteps = 100\nbatch_sentences = 4\nseed = 7\n");
  const std::string second = folder_.write("second.conf", "[train]\nbatch_sentences = 8\n[data]\nroot = of prepare\n");
  const SweepFile file = read("train.steps = 300\n[sweep]\nconfig = " + first + " | " + second + "\n");
  EXPECT_EQ(file.base.train.steps, 300);
  EXPECT_EQ(file.base.train.batch_sentences, 8);
  EXPECT_EQ(file.base.train.seed, 7u);
  EXPECT_EQ(file.base.data.root, "");  // of another command
}

TEST_F(SweepTest, AnEvaluationPerSplit) {
  const SweepFile file = read("[evaluate]\neval.split = dev | test\neval.pairs = pos:*\n");
  ASSERT_EQ(file.evaluations.size(), 2u);
  EXPECT_EQ(file.evaluations[0].text(), "eval.pairs = pos:*, eval.split = dev");
  EXPECT_EQ(file.evaluations[1].split, "test");
}

}  // namespace
}  // namespace hyperx::sweep
