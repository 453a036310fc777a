#include "data/source/recognise_format.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kConllu = "1\tAna\t_\tPROPN\t_\t_\t2\tnsubj\t_\t_\n2\tsleeps\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n";
const std::string kEntities = "Ana B-PER\nsleeps O\n\nIn O\nRome B-LOC\n";
const std::string kIob2 = "# sent_id = u1\n# text = Ana sleeps\n1\tAna\tB-PER\t-\t-\n2\tsleeps\tO\t-\t-\n\n";
const std::string kText = "The cat sleeps .\nIt is late and the moon is up .\n";

// The name of the format, or the error.
std::string found(const std::string& path, const std::string& head, bool may_be_text = true,
                  const SourceSpec& columns = {}) {
  SourceSpec spec = columns;
  spec.path = path;
  std::string name;
  const std::string error = user_error([&] { name = name_of(recognise_format(spec, head, may_be_text)); });
  return error.empty() ? name : error;
}

std::string checked(SourceFormat format, const std::string& head, int word_column = 0) {
  SourceSpec spec;
  spec.format = format;
  spec.word_column = word_column;
  return user_error([&] { check_format(spec, "f", head); });
}

TEST(RecogniseFormat, ConlluByItsLinesWhateverTheName) {
  std::string crlf = "\xEF\xBB\xBF";
  for (const char c : kConllu) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const char* path : {"a.conll", "a.CONLLU", "a.txt", "a", "-", "a.tsv"})
    for (const bool may_be_text : {true, false})
      for (const std::string& head : {kConllu, "# text = Ana sleeps\n" + kConllu, crlf, "\n\n" + kConllu,
                                      "1-2\tvamonos\t_\t_\t_\t_\t_\t_\t_\t_\n" + kConllu})
        EXPECT_EQ(found(path, head, may_be_text), "conllu") << path;
  EXPECT_EQ(found("a.cupt", "# global.columns = ID FORM UPOS\n1\tAna\tX\n"), "conllu") << "whose reader refuses it";
  EXPECT_EQ(found("a.conllu", "half a line\n"), "conllu") << "whose reader refuses it";
}

TEST(RecogniseFormat, ColumnsAreTaggedLines) {
  for (const std::string& head : {kEntities, std::string("Ana\tB-PER\nNew York\tB-LOC\n"), std::string("Ana\nsleeps\n"),
                                  "-DOCSTART- -X- O O\n\n" + kEntities})
    EXPECT_EQ(found("a.tsv", head), "tagged");
  for (const char* path : {"-", "a.txt", "a"}) EXPECT_EQ(found(path, kEntities, false), "tagged") << path;
}

TEST(RecogniseFormat, ColumnsThatAreNamedAreTaggedLinesOnStandardInputToo) {
  SourceSpec columns;
  columns.word_column = 2;
  EXPECT_EQ(found("-", kIob2, true, columns), "tagged");
  EXPECT_EQ(found("a.txt", kIob2, true, columns), "tagged");
}

TEST(RecogniseFormat, TextWhereTheNameSaysSo) {
  for (const char* path : {"-", "a.txt", "a.TXT"}) {
    for (const std::string& head :
         {kText, std::string("Hello\n"), std::string("Hello world\n"), std::string(),
          std::string("我喜欢猫。\n他来了。\n"), std::string("# a title\n"), std::string("Go home .\nSit down .\n")})
      EXPECT_EQ(found(path, head), "text") << path << head;
    for (const std::string& head :
         {kEntities, std::string("Ana\tPROPN\n"), std::string("Ana\tPROPN\nsleeps\tVERB\n"),
          std::string("Ana NN\nsleeps VB\n. .\n"), std::string("Nordia NNP I-NP I-ORG\n. . O O\n"),
          std::string("1 Ana B-PER -\n2 sleeps O -\n")})
      EXPECT_THAT(found(path, head), AllOf(StartsWith("65 "), HasSubstr("--format tagged"))) << path << head;
  }
  EXPECT_THAT(found("a.md", "Hello world\n"),
              AllOf(StartsWith("65 a.md:1: 'Hello world'"), HasSubstr("--format text")));
}

TEST(CheckFormat, IdsAreNotTakenForWords) {
  EXPECT_THAT(checked(SourceFormat::kTagged, kIob2), AllOf(StartsWith("65 f:3: '1\\tAna"), HasSubstr("--word")));
  for (const char* head : {"1\tAna\n2\tsleeps\n", "1 Ana\n2 sleeps\n", "0\tAna\tO\n", "1\tAna\tO\n\n1\tRome\tB-LOC\n",
                           "#\thttp://a.example\n1\tAna\tB-PER\tO\n", "1-1\t0-3\tAna\n1-2\t4-9\tsleeps\n"})
    EXPECT_THAT(checked(SourceFormat::kTagged, head), HasSubstr("numbers, not words")) << head;
  EXPECT_THAT(checked(SourceFormat::kTagged, kConllu), HasSubstr("its format is conllu"));
  EXPECT_THAT(checked(SourceFormat::kTagged, "B-PER\tAna\nO\tsleeps\n"), HasSubstr("tags, not words"));
  EXPECT_THAT(checked(SourceFormat::kTagged, "a/b\tAna\tO\na/b\tin\tO\n\na/b\tRome\tO\n"),
              HasSubstr("one text, not words"));
  EXPECT_EQ(checked(SourceFormat::kTagged, kIob2, 2), "");
  for (const char* head : {"1\tNUM\nof\tADP\n2\tNUM\n", "1\tO\n", "2010 O\n"})
    EXPECT_EQ(checked(SourceFormat::kTagged, head), "") << head;
}

TEST(CheckFormat, ColumnsAreNotTakenForRunningText) {
  for (const std::string& head : {kConllu, kEntities, std::string("Ana\tB-PER\nsleeps\tO\n"),
                                  std::string("1\tThe first sentence .\n2\tThe second .\n")})
    EXPECT_THAT(checked(SourceFormat::kText, head), AllOf(StartsWith("65 f:1: "), HasSubstr("running text"))) << head;
  for (const std::string& head : {kText, std::string("Hello world\nGood day\nWell done\n"), std::string("1\tGo")})
    EXPECT_EQ(checked(SourceFormat::kText, head), "");
}

TEST(CheckFormat, OnlyWholeLinesOfALongFileAreLookedAt) {
  std::string head;
  while (head.size() < kHeadBytes) head += kText;
  EXPECT_EQ(found("-", head.substr(0, kHeadBytes)), "text");
  head.clear();
  while (head.size() < kHeadBytes) head += "word\tNOUN\n";
  EXPECT_EQ(found("a", head.substr(0, kHeadBytes)), "tagged");
}

TEST(WrongColumns, OnlyTheTenInTheirOrder) {
  EXPECT_EQ(wrong_columns("# global.columns = ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC"), "");
  EXPECT_EQ(wrong_columns("# text = ID FORM"), "");
  for (const char* line :
       {"# global.columns = ID FORM UPOS LEMMA XPOS FEATS HEAD DEPREL DEPS MISC",
        "# global.columns = ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC PARSEME:MWE", "# global.columns ="})
    EXPECT_THAT(wrong_columns(line), HasSubstr("CoNLL-U Plus")) << line;
}

}  // namespace
}  // namespace hyperx::data
