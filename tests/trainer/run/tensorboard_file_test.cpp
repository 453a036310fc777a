#include "trainer/run/tensorboard_file.h"

#include <gmock/gmock.h>

#include <cstring>

#include "tests/support/folder.h"

namespace hyperx::train {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
namespace fs = std::filesystem;

class Tensorboard : public testing::Test {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_.tensorboard())) names.push_back(entry.path().string());
    return names;
  }

  test::TemporaryFolder folder_{test::TemporaryFolder::Where::kMemory};
  RunDir run_{folder_.path()};
};

// As TensorBoard 2.20 reads and writes it: an event of wall time 1.5, step 3, tag "loss", value 0.25.
TEST_F(Tensorboard, ARecordHasTheBytesThatTensorBoardWrites) {
  const std::string text =
      TensorboardFile::event_of({{"event", "step"}, {"step", 3}, {"loss", 0.25}, {"spread", nullptr}}, 1.5);
  const std::string message =
      std::string("\x09\0\0\0\0\0\0\xF8\x3F\x10\x03\x2A\x0D\x0A\x0B\x0A\x04loss\x15\0\0\x80\x3E", 26);
  ASSERT_EQ(text.size(), 12 + message.size() + 4);
  EXPECT_EQ(text.substr(12, message.size()), message);
  EXPECT_EQ(text.substr(0, 8), std::string("\x1A\0\0\0\0\0\0\0", 8));
  uint32_t of_length = 0, of_message = 0;
  std::memcpy(&of_length, text.data() + 8, 4);
  std::memcpy(&of_message, text.data() + text.size() - 4, 4);
  EXPECT_EQ(of_length, 0x2DD89B12U);
  EXPECT_EQ(of_message, 0x55B254D0U);
}

TEST_F(Tensorboard, OtherLinesGiveNothing) {
  EXPECT_EQ(TensorboardFile::event_of({{"event", "checkpoint"}, {"step", 3}, {"bytes", 5}}, 1), "");
  EXPECT_EQ(TensorboardFile::event_of({{"event", "step"}, {"step", "three"}, {"loss", 1}}, 1), "");
  EXPECT_EQ(TensorboardFile::event_of({{"event", "evaluation"}, {"step", 3}}, 1), "");
  EXPECT_EQ(TensorboardFile::event_of(json::array(), 1), "");
}

TEST_F(Tensorboard, ANewStartReplacesTheFilesOfEarlierOnes) {
  folder_.write(
      "metrics.jsonl",
      R"({"event": "step", "step": 1, "loss": 2.5, "seconds": 1})"
      "\ndamaged\n"
      R"({"event": "evaluation", "step": 1, "pair": "pos:en", "metrics": {"accuracy": 0.5}, "novel": {"f1": 1}})"
      "\n");
  folder_.write("tensorboard/events.out.tfevents.0000000001.host.1.0", "old");
  folder_.write("tensorboard/notes.txt", "of a person");
  TensorboardFile file(run_);
  ASSERT_THAT(files(), SizeIs(2));
  const std::string path = files()[0].find("notes") == std::string::npos ? files()[0] : files()[1];
  std::string text = read_file(path);
  for (const char* tag : {"loss", "pos:en/accuracy", "pos:en/novel/f1", "brain.Event:2"})
    EXPECT_THAT(text, HasSubstr(tag));
  file.add({{"event", "step"}, {"step", 2}, {"grad_norm", 1.0}}, wall_time_now());
  EXPECT_EQ(read_file(path), text);
  file.flush();
  text = read_file(path);
  EXPECT_THAT(text, HasSubstr("grad_norm"));
  EXPECT_TRUE(fs::exists(run_.tensorboard() + "/notes.txt"));
}

}  // namespace
}  // namespace hyperx::train
