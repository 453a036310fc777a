#include "data/source/tagged_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/tasks/known_task.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TaggedReaderTest : public ::testing::Test {
 protected:
  SourceSpec spec(const std::string& content) {
    SourceSpec result;
    result.path = files_.write("a.tsv", content);
    result.format = SourceFormat::kTagged;
    return result;
  }
  std::vector<Sentence> read(const SourceSpec& source) {
    reader_ = open_source(source, known_task("ner"));
    std::vector<Sentence> sentences(1);
    while (reader_->next(sentences.back())) sentences.emplace_back();
    sentences.pop_back();
    return sentences;
  }
  std::string error_of(const SourceSpec& source) {
    return user_error([&] { read(source); });
  }
  TemporaryFolder files_;
  std::unique_ptr<SentenceReader> reader_;
};

TEST_F(TaggedReaderTest, TabsOrSpacesSeparate) {
  for (const char* content :
       {"\n\nYork\tB-LOC\n!\tO\n\n   \nYork\tB-LOC\nend\tO", "\n\n York  B-LOC\n! O \n\n   \nYork B-LOC\r\nend O"}) {
    const auto sentences = read(spec(content));
    ASSERT_EQ(sentences.size(), 2U);
    for (const Sentence& s : sentences) {
      EXPECT_EQ(s.words[0], "York");
      EXPECT_THAT(s.tags, ElementsAre("B-LOC", "O"));
      EXPECT_THAT(s.labels, ElementsAre(5, 0));
    }
    EXPECT_THAT(sentences[1].lines, ElementsAre(7, 8));
    EXPECT_EQ(sentences[1].first_line, 7);
  }
  EXPECT_THAT(read(spec("New York\tB-LOC\n"))[0].words, ElementsAre("New York"));
}

TEST_F(TaggedReaderTest, MoreThanTwoColumnsBetweenSpacesMustBeNamed) {
  for (const char* content : {"Nordia NNP I-NP I-ORG\n", "New York B-LOC\n"})
    EXPECT_THAT(error_of(spec(content)),
                AllOf(HasSubstr(":1: "), HasSubstr("columns between spaces"), HasSubstr("word=N;tag=N in a manifest")));
  EXPECT_THAT(read(spec("Nordia\tNNP\tB-LOC\n"))[0].words, ElementsAre("Nordia"));
}

TEST_F(TaggedReaderTest, DocumentMarksAreNoWords) {
  testing::internal::CaptureStderr();
  EXPECT_THAT(read(spec("-DOCSTART- -X- -X- O\n\nAna B-PER\n\n -DOCSTART- -X- -X- O\n\nRome B-LOC\n")),
              testing::SizeIs(2));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("a.tsv: 2 lines of -DOCSTART- were skipped"));
}

TEST_F(TaggedReaderTest, SeparatorsOfOneFileAreTheSame) {
  SourceSpec source = spec("# id = 1\n1\tAna\tB-PER\n");
  source.word_column = 2;
  source.tag_column = 3;
  source.label_map = {{"=", "O"}};
  EXPECT_THAT(error_of(source), AllOf(HasSubstr(":2: tabs"), HasSubstr("line 1"), HasSubstr("comment=")));
}

TEST_F(TaggedReaderTest, CommentsAreCountedAndThoseThatLookLikeWordsWarnedOf) {
  const auto log_of = [&](const std::string& content, const std::string& comment) {
    SourceSpec source = spec(content);
    source.comment = comment;
    source.tag_column = 3;
    testing::internal::CaptureStderr();
    read(source);
    return testing::internal::GetCapturedStderr();
  };
  const std::string words = "the _ O\nriver _ O\n# _ O\n#metoo _ O\n";
  EXPECT_THAT(log_of("# id 1 x\n" + words, "#"), AllOf(HasSubstr("a.tsv: 3 lines begin with '#'"),
                                                       HasSubstr("warning: " + files_.path("a.tsv") + ":4: 2 of")));
  const std::string clean = log_of("# id 1 x\n" + words, "# id");
  EXPECT_THAT(clean, AllOf(HasSubstr("1 lines begin with '# id'"), testing::Not(HasSubstr("warning"))));
}

TEST_F(TaggedReaderTest, AFileWithoutEmptyLinesIsWarnedOf) {
  std::string content;
  for (int i = 0; i < 600; ++i) content += "word\tO\n";
  testing::internal::CaptureStderr();
  read(spec(content));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("a.tsv:1: a sentence of 600 words"));
}

TEST_F(TaggedReaderTest, NamedColumnsCommentsPrefixSchemeAndMap) {
  SourceSpec source = spec("# x\n1\tmt:a:b\tU-person\t-\n2\tmt:c\tB-ORG\t-\n3\tmt:d\tL-ORG\t-\n");
  source.word_column = 2;
  source.tag_column = 3;
  source.comment = "#";
  source.strip_prefix = source.bilou = true;
  source.label_map = {{"U-person", "U-PER"}};
  const auto sentences = read(source);
  EXPECT_THAT(sentences[0].words, ElementsAre("a:b", "c", "d"));
  EXPECT_THAT(sentences[0].tags, ElementsAre("B-PER", "B-ORG", "I-ORG"));
}

TEST_F(TaggedReaderTest, NamedColumnsBetweenSpaces) {
  SourceSpec source = spec("U.N.  NNP I-NP  B-ORG\n");
  source.tag_column = 4;
  EXPECT_THAT(read(source)[0].words, ElementsAre("U.N."));
  EXPECT_THAT(read(source)[0].tags, ElementsAre("B-ORG"));
}

TEST_F(TaggedReaderTest, WordsAloneWhereTagsAreNotRead) {
  SourceSpec source = spec("one\ntwo\n");
  source.read_tags = false;
  EXPECT_THAT(read(source)[0].words, ElementsAre("one", "two"));
  EXPECT_THAT(read(source)[0].tags, IsEmpty());
}

TEST_F(TaggedReaderTest, RefusesWithFileLineValueAndWayOut) {
  const std::string place = "65 " + files_.path("a.tsv");
  EXPECT_THAT(error_of(spec("a\tO\nword\n")),
              HasSubstr(place + ":2: one column where a word and its tag are expected, value 'word'"));
  EXPECT_THAT(error_of(spec("a\tB-MISC\n")), HasSubstr(place + ":1: unknown tag, value 'B-MISC'"));
  EXPECT_THAT(error_of(spec("\tO\n")), HasSubstr(place + ":1: an empty word"));
  SourceSpec source = spec("a\tO\n");
  source.word_column = 9;
  EXPECT_THAT(error_of(source), HasSubstr(place + ":1: no column for the word, value word=9 of 2 columns"));
  source.word_column = 0;
  source.strip_prefix = true;
  EXPECT_THAT(error_of(source), HasSubstr(place + ":1: no language prefix, value 'a'"));
  source = spec("a\tB-MISC\n");
  source.label_map = {{"B-MISC", "MISC"}};
  source.label_map_path = "map.tsv";
  EXPECT_THAT(error_of(source), HasSubstr("tag 'B-MISC' becomes 'MISC' by map.tsv, which is no label of ner"));
}

TEST(TextReader, LinesThatAreNotBlank) {
  TemporaryFolder files;
  SourceSpec source;
  source.path = files.write("a.txt", "one line\r\n\n \t\nthe second");
  const auto reader = open_source(source, known_task("mlm"));
  Sentence sentence;
  ASSERT_TRUE(reader->next(sentence));
  EXPECT_THAT(sentence.words, ElementsAre("one line"));
  ASSERT_TRUE(reader->next(sentence));
  EXPECT_THAT(sentence.words, ElementsAre("the second"));
  EXPECT_EQ(sentence.first_line, 4);
  EXPECT_FALSE(reader->next(sentence));
}

TEST(LabelMap, TwoColumnsCountOthersAndCommentsAreSkipped) {
  TemporaryFolder files;
  const LabelMap map =
      read_label_map(files.write("m.tsv", "# tag in these files\tto use\ttokens\nB-GPE\tB-LOC\t12\nCONJ\tCCONJ\n"));
  EXPECT_EQ(map, (LabelMap{{"B-GPE", "B-LOC"}, {"CONJ", "CCONJ"}}));
  const auto error = [&](const std::string& text) {
    return user_error([&] { read_label_map(files.write("bad.tsv", text)); });
  };
  EXPECT_THAT(error("A B\n"), HasSubstr("bad.tsv:1: not a line of a label map, value 'A B'"));
  EXPECT_THAT(error("A\tB\nA\tC\n"), HasSubstr("bad.tsv:2: tag mapped twice, value 'A'"));
  EXPECT_THAT(error("# none\n"), HasSubstr("65"));
}

}  // namespace
}  // namespace hyperx::data
