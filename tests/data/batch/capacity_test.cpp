#include "data/batch/capacity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/data/batch/batch_fixture.h"

namespace hyperx::data {
namespace {

// A batch's segments apart, each filled up: what is real stays where it was, what is filler labels nothing.
TEST_F(BatchMakerTest, SegmentsAreSplitAndFilledUp) {
  for (int64_t step = 0; step < 20; ++step) {
    const Batch batch = whole(mixture_->plan(step));
    std::vector<SentenceView> found;
    for (const Batch& segment : split_segments(batch)) {
      const auto views = views_of(segment);
      found.insert(found.end(), views.begin(), views.end());
      const bool masked = maker_->masked(segment.segments[0].pair);
      const Capacity capacity = capacity_of(segment, masked);
      EXPECT_LE(capacity.tokens, std::max(segment.tokens() + 63, segment.tokens() * 9 / 8));
      const Batch full = filled(segment, capacity);
      EXPECT_EQ(full.tokens(), capacity.tokens);
      EXPECT_EQ(full.sentences(), capacity.sentences);
      EXPECT_EQ(std::ssize(full.labels), capacity.labels);
      EXPECT_EQ(full.sentence_starts.back(), capacity.tokens);
      for (size_t s = 0; s + 1 < full.sentence_starts.size(); ++s)
        EXPECT_LE(full.sentence_starts[s + 1] - full.sentence_starts[s], capacity.longest);
      for (size_t i = 0; i < full.labels.size(); ++i) {
        const bool real = i < segment.labels.size();
        EXPECT_EQ(full.labels[i], real ? segment.labels[i] : kNoLabel);
        EXPECT_LT(full.label_positions[i], capacity.tokens);
      }
      EXPECT_TRUE(std::equal(segment.input_ids.begin(), segment.input_ids.end(), full.input_ids.begin()));
      EXPECT_TRUE(
          std::equal(segment.sentence_starts.begin(), segment.sentence_starts.end(), full.sentence_starts.begin()));
    }
    std::vector<SentenceView> expected = views_of(batch);
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(found, expected);
  }
}

// Few capacities serve many sizes, and none is too small.
TEST(CapacityTest, LadderHoldsEverySize) {
  std::set<int64_t> rungs;
  for (int64_t tokens = 1; tokens <= 4096; ++tokens) {
    Batch batch;
    batch.input_ids.assign(static_cast<size_t>(tokens), 1);
    batch.positions.assign(static_cast<size_t>(tokens), 0);
    batch.sentence_starts = {0, static_cast<int32_t>(tokens)};
    batch.sentence_slots = batch.sentence_ids = {0};
    Segment segment;
    segment.token_end = static_cast<int>(tokens);
    segment.sentence_end = 1;
    batch.segments = {segment};
    const Capacity capacity = capacity_of(batch, true);
    rungs.insert(capacity.tokens);
    ASSERT_EQ(filled(batch, capacity).tokens(), capacity.tokens);
    ASSERT_EQ(filled(batch, capacity_of(batch, false)).sentence_starts.back(), capacity.tokens);
  }
  EXPECT_EQ(rungs.size(), 32U);  // 64 ... 512 by 64, then eighths
}

}  // namespace
}  // namespace hyperx::data
