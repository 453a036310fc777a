#include "trainer/checkpoint/checkpoint_writer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "common/errors.h"
#include "common/files.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"

namespace hyperx::train {
namespace {

using testing::ElementsAre;
namespace fs = std::filesystem;

class Writer : public FolderTest {
 protected:
  static void submit(CheckpointWriter& writer, int64_t step, std::optional<double> score = std::nullopt) {
    const Sample sample(step);
    CheckpointContent content = sample.content();
    content.score = score;
    writer.submit(content);
  }
  std::string word_in(const std::string& name) const { return read_file(path(name)); }
};

TEST_F(Writer, TheCopyIsWhatIsWritten) {
  CheckpointWriter writer({path("c"), 2, 1, 3});  // copied by three threads, into which no tensor divides evenly
  Sample sample(3);
  const CheckpointPause pause = writer.submit(sample.content());
  for (SampleTensor& tensor : sample.model_) std::fill(tensor.values.begin(), tensor.values.end(), -1.0f);
  for (SampleTensor& tensor : sample.optimizer_) std::fill(tensor.values.begin(), tensor.values.end(), -1.0f);
  EXPECT_EQ(pause.bytes, 4 * (3 * 700 * 192 + 64 + 1));
  EXPECT_GT(pause.seconds, 0);
  writer.wait();
  EXPECT_EQ(writer.failure(), std::nullopt);
  EXPECT_EQ(writer.last_saved(), 3);
  EXPECT_GT(writer.last_write_seconds(), 0);
  Sample::expect_whole(path("c/step-0000003"));
  EXPECT_EQ(word_in("c/latest"), "step-0000003\n");
  EXPECT_FALSE(fs::exists(path("c/best")));
}

TEST_F(Writer, MemoryReservedMayBeTooLittleOrTooMuch) {
  for (const int64_t reserved : {1, 5 << 20}) {
    CheckpointWriter writer({path("c"), 2, 1, 1, reserved});
    submit(writer, reserved, std::nullopt);
    writer.wait();
    EXPECT_EQ(writer.failure(), std::nullopt);
    Sample::expect_whole(path("c/" + checkpoint_name(reserved)));
  }
}

TEST_F(Writer, KeepsTheLastAndTheBest) {
  CheckpointWriter writer({path("c"), 2, 1});
  const double nan = std::nan("");
  const std::vector<std::optional<double>> scores = {0.5, 0.8, nan, std::nullopt, 0.8, 0.7};
  for (size_t i = 0; i < scores.size(); ++i) submit(writer, static_cast<int64_t>(i) + 1, scores[i]);
  writer.wait();
  EXPECT_EQ(names_in(path("c")), "best latest step-0000002 step-0000005 step-0000006");
  EXPECT_EQ(word_in("c/best"), "step-0000002\n");  // the earlier of two equals
  EXPECT_EQ(word_in("c/latest"), "step-0000006\n");
  EXPECT_EQ(names_in(path("c/step-0000002")), "manifest.json model.h5");
  EXPECT_EQ(names_in(path("c/step-0000005")), "manifest.json model.h5 optimizer.h5");
  for (const char* name : {"c/step-0000002", "c/step-0000005", "c/step-0000006"})
    EXPECT_THAT(verify_checkpoint(path(name)), ElementsAre());
}

TEST_F(Writer, BestIsKnownAgainAfterARestart) {
  {
    CheckpointWriter writer({path("c"), 1, 1});
    submit(writer, 1, 0.9);
    submit(writer, 2, 0.1);
  }
  CheckpointWriter writer({path("c"), 1, 1});
  submit(writer, 3, 0.5);
  writer.wait();
  EXPECT_EQ(names_in(path("c")), "best latest step-0000001 step-0000003");
  EXPECT_EQ(word_in("c/best"), "step-0000001\n");
  submit(writer, 4, 0.95);
  writer.wait();
  EXPECT_EQ(names_in(path("c")), "best latest step-0000004");
}

TEST_F(Writer, NothingButTheLastWhenNoBestIsKept) {
  CheckpointWriter writer({path("c"), 0, 0});  // one whole checkpoint stays whatever is asked for
  for (int64_t step = 1; step <= 3; ++step) submit(writer, step, 1.0 / static_cast<double>(step));
  writer.wait();
  EXPECT_EQ(names_in(path("c")), "latest step-0000003");
}

TEST_F(Writer, SweepsWhatAKilledProcessLeft) {
  fs::create_directories(path("c/step-0000009.tmp"));
  write_file_atomically(path("c/step-0000009.tmp/model.h5"), "part");
  write_file_atomically(path("c/latest.123.tmp"), "step-00");  // killed between its making and its renaming
  write_file_atomically(path("c/best.123.tmp"), "step-00");
  fs::create_directories(path("c/notes.tmp"));  // not ours
  CheckpointWriter writer({path("c"), 2, 1});
  EXPECT_EQ(names_in(path("c")), "notes.tmp");
}

TEST_F(Writer, AFailedSaveLeavesTheOldOnesAndTheNextSucceeds) {
  CheckpointWriter writer({path("c"), 2, 1});
  submit(writer, 1);
  writer.wait();
  // two tensors of one name: HDF5 refuses the second midway
  Sample broken(2);
  broken.optimizer_[1].name = broken.optimizer_[0].name;
  writer.submit(broken.content());
  writer.wait();
  ASSERT_TRUE(writer.failure().has_value());
  EXPECT_THAT(*writer.failure(), testing::HasSubstr("optimizer.h5: tensors/generators.weight.m"));
  EXPECT_EQ(writer.failures(), 1);
  EXPECT_EQ(writer.last_saved(), 1);
  EXPECT_EQ(names_in(path("c")), "latest step-0000001");
  submit(writer, 3);
  writer.wait();
  EXPECT_EQ(writer.failure(), std::nullopt);
  EXPECT_EQ(names_in(path("c")), "latest step-0000001 step-0000003");
  Sample::expect_whole(path("c/step-0000003"));
}

TEST_F(Writer, PruningLeavesADamagedOneAloneAndTheNewestWholeOne) {
  for (const int64_t step : {1, 2, 3}) write_now(path("c"), step);
  flip(path("c/step-0000003/manifest.json"), 40);
  EXPECT_THAT(prune_checkpoints(path("c"), 1, 0), ElementsAre("step-0000001"));
  EXPECT_EQ(names_in(path("c")), "step-0000002 step-0000003");
  Sample::expect_whole(path("c/step-0000002"));
}

}  // namespace
}  // namespace hyperx::train
