#include "data/tokenizer/word_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> split(const std::string& line, const std::string& how) {
  std::vector<std::string_view> views;
  split_words(line, parse_word_split(how), views);
  return {views.begin(), views.end()};
}

TEST(WordSplitter, Space) {
  EXPECT_THAT(split("  It's\u00A0fine, 北京 \t", "space"), ElementsAre("It's", "fine,", "北京"));
}

TEST(WordSplitter, BasicCutsPunctuationAndIdeographs) {
  EXPECT_THAT(split("It's fine, 北京abc!", "basic"), ElementsAre("It", "'", "s", "fine", ",", "北", "京", "abc", "!"));
  EXPECT_THAT(split("カタ", "basic"), ElementsAre("カタ"));
}

TEST(WordSplitter, CharsKeepMarksWithTheirLetter) {
  EXPECT_THAT(split("ab 北e\u0301", "chars"), ElementsAre("a", "b", "北", "e\u0301"));
}

TEST(WordSplitter, AutoCutsScriptsWithoutSpacesToo) {
  EXPECT_THAT(split("Hi, 北京カタ กำ", "auto"), ElementsAre("Hi", ",", "北", "京", "カ", "タ", "กำ"));
}

TEST(WordSplitter, WhatCleanUpRemovesIsNoWord) {
  EXPECT_THAT(split("a \u200B b\u200Bc", "basic"), ElementsAre("a", "b\u200Bc"));
  EXPECT_THAT(split(" \u200B ", "chars"), IsEmpty());
  EXPECT_THAT(split("\xFF\xFE", "basic"), IsEmpty());
  EXPECT_THAT(split("", "basic"), IsEmpty());
}

TEST(WordSplitter, UnknownNameIsAUsageError) {
  EXPECT_EQ(user_error([] { parse_word_split("word"); }),
            "64 --words: unknown value 'word': auto, space, basic and chars are known");
}

}  // namespace
}  // namespace hyperx::data
