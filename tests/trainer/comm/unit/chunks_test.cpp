#include "trainer/comm/chunks.h"

#include <gtest/gtest.h>

#include <climits>
#include <utility>
#include <vector>

namespace hyperx::comm {
namespace {

using Pieces = std::vector<std::pair<int64_t, int>>;

Pieces pieces_of(int64_t count, int64_t limit) {
  Pieces pieces;
  for_each_chunk(count, limit, [&](int64_t offset, int length) { pieces.emplace_back(offset, length); });
  return pieces;
}

TEST(Chunks, CoverTheMessageOnce) {
  EXPECT_EQ(pieces_of(0, 4), Pieces{});
  EXPECT_EQ(pieces_of(3, 4), (Pieces{{0, 3}}));
  EXPECT_EQ(pieces_of(4, 4), (Pieces{{0, 4}}));
  EXPECT_EQ(pieces_of(9, 4), (Pieces{{0, 4}, {4, 4}, {8, 1}}));
}

TEST(Chunks, CountsPastTheLargestInt) {
  const int64_t large = INT_MAX;
  EXPECT_EQ(pieces_of(large, large), (Pieces{{0, INT_MAX}}));
  EXPECT_EQ(pieces_of(large + 1, large), (Pieces{{0, INT_MAX}, {large, 1}}));
  EXPECT_EQ(pieces_of(2 * large + 5, large), (Pieces{{0, INT_MAX}, {large, INT_MAX}, {2 * large, 5}}));
}

}  // namespace
}  // namespace hyperx::comm
