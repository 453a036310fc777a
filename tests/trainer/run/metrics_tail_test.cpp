#include <gtest/gtest.h>

#include "tests/support/folder.h"
#include "trainer/run/metrics_file.h"

namespace hyperx::train {
namespace {

std::string steps_text(int64_t from, int64_t to) {
  std::string text;
  for (int64_t step = from; step <= to; ++step)
    text += nlohmann::json({{"event", "step"}, {"step", step}, {"tokens", 50}, {"seconds", 0.5}}).dump() + "\n";
  return text;
}

std::string evaluation_text(int64_t step, const std::string& pair) {
  return nlohmann::json({{"event", "evaluation"}, {"step", step}, {"pair", pair}}).dump() + "\n";
}

// More steps after the evaluation than are read one by one, and than one block holds.
TEST(MetricsTail, FindsAnEvaluationThatIsLongAgo) {
  const test::TemporaryFolder folder(test::TemporaryFolder::Where::kMemory);
  for (const int64_t after : {0, 50, 1000, 5000}) {
    const std::string path =
        folder.write("metrics.jsonl", steps_text(1, 40) + evaluation_text(40, "ner:en") + steps_text(41, 80) +
                                          evaluation_text(80, "pos:en") + evaluation_text(80, "pos:tr") +
                                          steps_text(81, 80 + after));
    const MetricsTail tail = read_metrics_tail(path);
    ASSERT_EQ(tail.last_evaluation.size(), 2) << after;
    EXPECT_EQ(tail.last_evaluation[0].at("pair"), "pos:en");
    EXPECT_EQ(tail.last_evaluation[1].at("pair"), "pos:tr");
    EXPECT_EQ(tail.last_step.at("step"), 80 + after);
    EXPECT_DOUBLE_EQ(tail.steps_per_second, 2);
    EXPECT_DOUBLE_EQ(tail.tokens_per_second, 100);
  }
  EXPECT_TRUE(read_metrics_tail(folder.write("metrics.jsonl", steps_text(1, 5000))).last_evaluation.empty());
}

}  // namespace
}  // namespace hyperx::train
