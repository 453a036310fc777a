#include "data/source/conllu_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "data/source/sentence_reader.h"
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
using ::testing::StartsWith;

std::string word(const std::string& id, const std::string& form, const std::string& upos, const std::string& head = "_",
                 const std::string& relation = "_") {
  return id + "\t" + form + "\t_\t" + upos + "\t_\t_\t" + head + "\t" + relation + "\t_\t_\n";
}

const std::string kGood = "# text = Vámonos al mar\n" + word("1-2", "Vámonos", "_") +
                          word("1", "Vamos", "VERB", "0", "root") + word("2", "nos", "PRON", "1", "obj") +
                          word("2.1", "elided", "NOUN") + word("3", "he deus", "ADP", "1", "obl") + "\n";

class ConlluReaderTest : public ::testing::Test {
 protected:
  SourceSpec spec(const std::string& content) {
    SourceSpec result;
    result.path = files_.write("a.conllu", content);
    result.format = SourceFormat::kConllu;
    result.read_heads = true;
    return result;
  }
  std::vector<Sentence> read(SourceSpec source, const std::string& multiword = "drop") {
    tasks_ = TaskSet::of({"pos"}, with_multiword(multiword));
    tasks_.at("pos").complete(source);
    reader_ = open_source(source, tasks_.at("pos"));
    std::vector<Sentence> sentences(1);
    while (reader_->next(sentences.back())) sentences.emplace_back();
    sentences.pop_back();
    return sentences;
  }
  std::string error_of(const std::string& content) {
    return user_error([&] { read(spec(content)); });
  }
  TemporaryFolder files_;
  TaskSet tasks_;
  std::unique_ptr<SentenceReader> reader_;  // the sentences' views look into its file
};

TEST_F(ConlluReaderTest, SyntacticWordsWithTagsAndHeads) {
  const auto sentences = read(spec(kGood));
  ASSERT_EQ(sentences.size(), 1U);
  const Sentence& s = sentences[0];
  EXPECT_THAT(s.words, ElementsAre("Vamos", "nos", "he deus"));
  EXPECT_THAT(s.tags, ElementsAre("VERB", "PRON", "ADP"));
  EXPECT_THAT(s.labels, ElementsAre(15, 10, 1));
  EXPECT_THAT(s.ids, ElementsAre("1", "2", "3"));
  EXPECT_THAT(s.lines, ElementsAre(3, 4, 6));
  EXPECT_THAT(s.heads, ElementsAre(0, 1, 1));
  EXPECT_THAT(s.relations, ElementsAre("root", "obj", "obl"));
  EXPECT_EQ(s.first_line, 3);
}

TEST_F(ConlluReaderTest, MultiwordRangesAndEmptyNodesAreWordsAsInTheOriginal) {
  const auto sentences = read(spec(kGood), "keep");
  EXPECT_THAT(sentences[0].words, ElementsAre("Vámonos", "Vamos", "nos", "elided", "he deus"));
  EXPECT_THAT(sentences[0].tags, ElementsAre("_", "VERB", "PRON", "NOUN", "ADP"));
  EXPECT_EQ(sentences[0].labels[0], 17);
  EXPECT_THAT(sentences[0].heads, IsEmpty());
}

TEST_F(ConlluReaderTest, ByteOrderMarkCarriageReturnsAndNoLastLineFeedAreTolerated) {
  std::string text = "\xEF\xBB\xBF";
  for (const char c : kGood + "\n\n" + word("1", "x", "X")) text += c == '\n' ? "\r\n" : std::string(1, c);
  text.resize(text.size() - 2);
  const auto sentences = read(spec(text));
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_THAT(sentences[0].words, ElementsAre("Vamos", "nos", "he deus"));
  EXPECT_THAT(sentences[0].heads, ElementsAre(0, 1, 1));
  EXPECT_THAT(sentences[1].words, ElementsAre("x"));
  EXPECT_THAT(sentences[1].heads, IsEmpty());  // its column is _
}

TEST_F(ConlluReaderTest, LimitAndLabelMap) {
  SourceSpec source = spec(word("1", "and", "CONJ") + "\n" + word("1", "x", "wrong") + "\n");
  source.limit = 1;
  source.label_map = {{"CONJ", "CCONJ"}};
  const auto sentences = read(source);
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_THAT(sentences[0].tags, ElementsAre("CCONJ"));
}

TEST_F(ConlluReaderTest, WithoutTagsNothingIsAskedOfThem) {
  SourceSpec source = spec(word("1", "x", "_", "9") + word("2", "y", "?", "2"));
  source.read_tags = source.read_heads = false;
  EXPECT_THAT(read(source)[0].words, ElementsAre("x", "y"));
}

// A file that was made for tags alone may hold anything there.
TEST_F(ConlluReaderTest, HeadsAreReadOnlyWhereTheyAreAskedFor) {
  SourceSpec source = spec(word("1", "x", "X", "0") + word("2", "y", "NOUN", "0") + word("3", "z", "VERB", "none"));
  source.read_heads = SourceSpec().read_heads;
  const auto sentences = read(source);
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_THAT(sentences[0].tags, ElementsAre("X", "NOUN", "VERB"));
  EXPECT_THAT(sentences[0].heads, IsEmpty());
}

TEST_F(ConlluReaderTest, ArabicDiacriticsAreTakenOut) {
  SourceSpec source = spec(word("1", "\u0643\u064E\u062A\u064E\u0628\u0652", "VERB") + word("2", "plain", "X"));
  source.strip_diacritics = true;
  EXPECT_THAT(read(source)[0].words, ElementsAre("\u0643\u062A\u0628", "plain"));
}

struct BadFile {
  const char* name;
  std::string content;
  std::string place_and_value;  // what the message must hold, beside the path
};

class ConlluReaderRefuses : public ConlluReaderTest, public ::testing::WithParamInterface<BadFile> {};

TEST_P(ConlluReaderRefuses, WithFileLineValueAndWayOut) {
  EXPECT_THAT(error_of(GetParam().content),
              AllOf(StartsWith("65 " + files_.path("a.conllu") + ":"), HasSubstr(GetParam().place_and_value)));
}

const std::string kNext = word("1", "a", "X", "0", "root");

INSTANTIATE_TEST_SUITE_P(
    BadFiles, ConlluReaderRefuses,
    ::testing::Values(
        BadFile{"nine_columns", kGood + "1\ta\t_\tX\t_\t_\t0\troot\t_\n", ":8: 9 columns"},
        BadFile{"spaces_for_tabs", "1 a _ X _ _ 0 root _ _\n", ":1: 1 columns"},
        BadFile{"id_skips", kNext + word("3", "b", "X", "1"), ":2: an id that is not the next number, value '3'"},
        BadFile{"id_again", kNext + kNext, ":2: an id that is not the next number, value '1'"},
        BadFile{"id_no_number", word("one", "b", "X"), "value 'one'"},
        BadFile{"id_leading_zero", word("01", "b", "X"), "value '01'"},
        BadFile{"range_late", kNext + word("1-2", "b", "_"), "a range out of order, value '1-2'"},
        BadFile{"range_backwards", word("1-0", "b", "_"), "a range out of order, value '1-0'"},
        BadFile{"range_too_far", word("1-3", "b", "_") + kNext, ":1: a range beyond the sentence, value '3'"},
        BadFile{"empty_node_early", word("1.1", "b", "X") + kNext, "an empty node out of order, value '1.1'"},
        BadFile{"empty_form", word("1", "", "X"), "an empty FORM"},
        BadFile{"head_no_number", word("1", "a", "X", "x"), ":1: HEAD is not a number, value 'x'"},
        BadFile{"head_outside", kNext + word("2", "b", "X", "3"), ":2: HEAD is not in the sentence, value '3'"},
        BadFile{"head_missing", kNext + word("2", "b", "X", "_"), ":2: HEAD is missing"},
        BadFile{"cycle", kNext + word("2", "b", "X", "3") + word("3", "c", "X", "2"),
                "a cycle of heads through word 2"},
        BadFile{"own_head", kNext + word("2", "b", "X", "2"), ":2: a cycle of heads through word 2"},
        BadFile{"two_roots", kNext + word("2", "b", "X", "0"), ":2: a second root"},
        BadFile{"no_root", word("1", "a", "X", "2") + word("2", "b", "X", "1"), ":1: no root"},
        BadFile{"unknown_tag", word("1", "a", "Noun"), ":1: unknown tag, value 'Noun'"},
        BadFile{"ud_version_1", word("1", "a", "CONJ"), "value 'CONJ' (CONJ is UD version 1: map it to CCONJ)"},
        BadFile{"no_tags", word("1", "a", "_"), ":1: a word without UPOS, value '_'"},
        BadFile{"no_text", word("1", "_", "X") + word("2", "_", "X") + word("3", "_", "X"),
                "every FORM of the file is '_'"},
        BadFile{"only_comments", "# a\n\n# b\n", ":3: the file holds no sentence"},
        BadFile{"empty_file", "", ":1: the file holds no sentence"},
        BadFile{"latin1", word("1", "caf\xE9", "X"), ":1: invalid UTF-8 at byte 6 of the line, value 0xE9"},
        BadFile{"long_line", kGood + std::string(10'000'000, 'a'), ":8: a line of more than 1048576 bytes"}),
    [](const auto& test) { return test.param.name; });

TEST(MissingSource, IsNoInput) {
  TemporaryFolder files;
  SourceSpec spec;
  spec.path = files.path("absent");
  EXPECT_THAT(user_error([&] { open_source(spec, known_task("pos")); }), StartsWith("66 " + spec.path));
  spec.path = files.path();
  EXPECT_THAT(user_error([&] { open_source(spec, known_task("pos")); }),
              StartsWith("66 " + spec.path + ": is a folder"));
  spec.path = files.write("secret", kGood);
  std::filesystem::permissions(spec.path, std::filesystem::perms::none);
  constexpr uid_t kNobody = 65534;  // root may read any file
  const uid_t me = geteuid();
  ASSERT_TRUE(me != 0 || seteuid(kNobody) == 0);
  const std::string error = user_error([&] { open_source(spec, known_task("pos")); });
  ASSERT_EQ(seteuid(me), 0);
  EXPECT_THAT(error, AllOf(StartsWith("66 " + spec.path), HasSubstr("ermission denied")));
}

}  // namespace
}  // namespace hyperx::data
