#include "sweep/row_set.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace hyperx::sweep {
namespace {

TEST(RowSetTest, NumbersAndRangesInAnyOrder) {
  EXPECT_EQ(parse_row_set("7,1-3,2", 9, "--rows"), (std::vector<int64_t>{1, 2, 3, 7}));
  EXPECT_EQ(row_set_text({1, 2, 3, 7}), "1-3,7");
  EXPECT_EQ(row_set_text({4}), "4");
  EXPECT_EQ(row_set_text({}), "");
}

TEST(RowSetTest, WhatIsNoSetOrTooLargeIsRefused) {
  for (const char* text : {"", "x", "3-1", "1,,2", "-4", "1-", "1 2"})
    EXPECT_EQ(test::user_error([&] { parse_row_set(text, 9, "--rows"); }),
              std::string("64 --rows '") + text + "': expected numbers and ranges, such as 1,4-7");
  EXPECT_EQ(test::user_error([] { parse_row_set("8-10", 9, "--rows"); }), "64 --rows '8-10': the numbers are 1 to 9");
  EXPECT_EQ(test::user_error([] { parse_row_set("0", 9, "--rows"); }), "64 --rows '0': the numbers are 1 to 9");
}

}  // namespace
}  // namespace hyperx::sweep
