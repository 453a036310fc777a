#include "data/tasks/pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<Pair> kAll = {{"pos", "en"}, {"pos", "tr"}, {"ner", "en"}, {"ner", "yo"}, {"ner", "yo@masakhaner2"},
                                {"mlm", "kk"}};

std::vector<std::string> names(const std::string& set) {
  std::vector<std::string> result;
  for (const Pair& pair : select_pairs(set, kAll, "train.pairs")) result.push_back(pair.name());
  return result;
}

TEST(Pair, IsTaskAndLanguage) {
  const Pair pair = parse_pair("ner:yo@masakhaner2");
  EXPECT_EQ(pair.task, "ner");
  EXPECT_EQ(pair.base_language(), "yo");
  EXPECT_EQ(parse_pair("pos:tr").base_language(), "tr");
  EXPECT_EQ(pair.file_name(), "ner.yo@masakhaner2");
  for (const char* bad : {"", "pos", ":tr", "pos:", "pos:a:b", "pos:*", "pos:a b", "pos:../x", "pos:.."})
    EXPECT_THAT(user_error([&] { parse_pair(bad); }), StartsWith("78 ")) << bad;
}

TEST(PairSet, NamesStarsBracesAndExceptions) {
  EXPECT_THAT(names("pos:tr"), ElementsAre("pos:tr"));
  EXPECT_THAT(names("*:en"), ElementsAre("pos:en", "ner:en"));
  EXPECT_THAT(names("mlm:*, pos:{tr,en}"), ElementsAre("pos:en", "pos:tr", "mlm:kk"));
  EXPECT_THAT(names("{pos,ner}:*,!ner:en"), ElementsAre("pos:en", "pos:tr", "ner:yo"));
  EXPECT_THAT(names("pos:en,pos:en"), ElementsAre("pos:en"));
}

TEST(PairSet, SecondSourcesAreNamedOnPurposeOnly) {
  EXPECT_THAT(names("ner:*"), ElementsAre("ner:en", "ner:yo"));
  EXPECT_THAT(names("ner:yo"), ElementsAre("ner:yo"));
  EXPECT_THAT(names("ner:yo@masakhaner2"), ElementsAre("ner:yo@masakhaner2"));
  EXPECT_THAT(names("ner:*@*"), ElementsAre("ner:yo@masakhaner2"));
  EXPECT_THAT(names("*:yo@*"), ElementsAre("ner:yo@masakhaner2"));
}

TEST(PairSet, AnElementWithoutAPairIsAnErrorThatListsWhatThereIs) {
  EXPECT_THAT(user_error([] { names("pos:en,pos:xx"); }),
              StartsWith("78 train.pairs: 'pos:xx' matches no pair: there are pos:en pos:tr ner:en"));
  EXPECT_THAT(user_error([] { names("pos:{en,xx}"); }),
              StartsWith("78 train.pairs: 'xx' of 'pos:{en,xx}' matches no pair: there are pos:en"));
  EXPECT_THAT(user_error([] { names("{pos,dep}:*"); }), StartsWith("78 train.pairs: 'dep' of '{pos,dep}:*'"));
  EXPECT_THAT(user_error([] { names("pos:*,!pos:{en,xx}"); }), StartsWith("78 train.pairs: 'xx' of '!pos:{en,xx}'"));
  for (const char* bad : {"", "pos", "pos:{tr", "pos:en,,ner:en", "!", "pos:", "pos:{}"})
    EXPECT_THAT(user_error([&] { names(bad); }), StartsWith("78 train.pairs: ")) << bad;
}

}  // namespace
}  // namespace hyperx::data
