#include "common/short_values.h"

#include <gmock/gmock.h>

namespace hyperx {
namespace {

TEST(ShortValues, OrdinaryMessagesStayAsTheyAre) {
  for (const std::string& message :
       {std::string(), std::string("a.tsv:3: the model's head, value 'it's': correct it's line"), std::string("'"),
        "labels are " + std::string(50, 'x') + " " + std::string(300, 'y') + ": 'a b'", "/" + std::string(900, 'p')})
    EXPECT_EQ(with_short_values(message), message);
}

TEST(ShortValues, AValueIsCutTo200) {
  const std::string cut = "a:1: value '" + std::string(200, 'x') + "...': correct it";
  EXPECT_EQ(with_short_values("a:1: value '" + std::string(1 << 20, 'x') + "': correct it"), cut);
  EXPECT_EQ(with_short_values("value=" + std::string(1 << 20, 'x') + " is wrong").size(), 6 + 194 + 3 + 9U);
  EXPECT_EQ(with_short_values("value '" + std::string(300, ' ') + "' is wrong").size(), 7 + 200 + 3 + 10U);
}

TEST(ShortValues, CharactersStayWhole) {
  std::string value = "a";
  for (int i = 0; i < 1000; ++i) value += "\u20ac";
  const std::string cut = with_short_values("value '" + value + "'");
  EXPECT_EQ(cut, "value 'a" + value.substr(1, 198) + "...'");
}

TEST(ShortValues, AWholeMessageIsBounded) {
  std::string value;
  for (int i = 0; i < 100000; ++i) value += "a', ";
  const std::string cut = with_short_values("begin '" + value + "' end");
  EXPECT_LT(cut.size(), 4010U);
  EXPECT_THAT(cut, testing::AllOf(testing::StartsWith("begin 'a', "), testing::EndsWith("' end")));
}

}  // namespace
}  // namespace hyperx
