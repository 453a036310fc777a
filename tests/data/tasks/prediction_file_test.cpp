#include "data/tasks/prediction_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>

#include "common/files.h"
#include "common/random.h"
#include "tests/data/tasks/known_task.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Reads a file in chunks of `chunk_sentences` and writes it with the tags that `tag(word)` gives.
template <class Tagger>
std::string tagged(const SourceSpec& spec, Tagger tag, size_t chunk_sentences = 3,
                   WordSplit split = WordSplit::kBasic) {
  PredictionInput input(spec, split);
  TaggingChunk chunk;
  std::string written;
  while (input.next(chunk, chunk_sentences)) {
    EXPECT_LE(chunk.words.size(), chunk_sentences);
    std::vector<Tags> tags;
    for (const auto& sentence : chunk.words) {
      tags.emplace_back();
      for (const std::string& word : sentence) tags.back().push_back(tag(word));
    }
    written += chunk.with_tags(tags);
  }
  return written;
}

SourceSpec spec_of(const std::string& path, SourceFormat format) {
  SourceSpec spec;
  spec.path = path;
  spec.format = format;
  return spec;
}

struct Scratch : testing::Test {
  TemporaryFolder folder;
  std::string tag_text(const std::string& content, SourceFormat format, const std::string& tag = "T") {
    return tagged(spec_of(folder.write("in", content), format), [&](const std::string&) { return tag; });
  }
  std::string error_for(const std::string& content, SourceFormat format) {
    return user_error([&] { tag_text(content, format); });
  }
};
using PredictionFile = Scratch;

std::string conllu_line(const std::string& id, const std::string& form, const std::string& upos) {
  return id + "\t" + form + "\t_\t" + upos + "\tX\t_\t0\troot\t_\tSpaceAfter=No";
}

TEST_F(PredictionFile, ConlluKeepsAllButUpos) {
  const auto file = [](const std::string& first, const std::string& second, const std::string& third) {
    return "\xEF\xBB\xBF# text = vámonos al mar\r\n" + conllu_line("1-2", "vámonos", "_") + "\r\n" +
           conllu_line("1", "vamos", first) + "\r\n" + conllu_line("2", "nos", second) + "\r\n" +
           conllu_line("2.1", "empty", "VERB") + "\r\n\r\n\r\n# between\n" + conllu_line("1", "he deus", third) +
           "\n\n# end\n\n";
  };
  EXPECT_EQ(tag_text(file("VERB", "PRON", "_"), SourceFormat::kConllu), file("T", "T", "T"));
}

TEST_F(PredictionFile, ConlluWithoutAFinalLineFeed) {
  EXPECT_EQ(tag_text(conllu_line("1", "a", "X"), SourceFormat::kConllu), conllu_line("1", "a", "T"));
}

TEST_F(PredictionFile, ConlluGivesTheWordsWithIntegerIds) {
  const std::string path = folder.write("in", conllu_line("1-2", "ab", "_") + "\n" + conllu_line("1", "a", "X") + "\n" +
                                                  conllu_line("1.1", "e", "Y") + "\n" + conllu_line("2", "b", "_") +
                                                  "\n\n" + conllu_line("1", "c", "NOUN") + "\n");
  SourceSpec spec = spec_of(path, SourceFormat::kConllu);
  TaggingChunk chunk;
  ASSERT_TRUE(PredictionInput(spec).next(chunk, 10));
  EXPECT_THAT(chunk.words, ElementsAre(ElementsAre("a", "b"), ElementsAre("c")));
  EXPECT_THAT(chunk.tags, ElementsAre(ElementsAre("X", "_"), ElementsAre("NOUN")));
  EXPECT_THAT(chunk.lines, ElementsAre(ElementsAre(2, 4), ElementsAre(6)));
  EXPECT_EQ(chunk.word_count(), 3);
  spec.keep_multiword = true;
  ASSERT_TRUE(PredictionInput(spec).next(chunk, 10));
  EXPECT_THAT(chunk.words, ElementsAre(ElementsAre("ab", "a", "e", "b"), ElementsAre("c")));
}

TEST_F(PredictionFile, TaggedLinesKeepAllButTheTag) {
  EXPECT_EQ(tag_text("en:a\tO\r\nb c\tB-PER\n\n\nd\t\n\n", SourceFormat::kTagged), "en:a\tT\r\nb c\tT\n\n\nd\tT\n\n");
  EXPECT_EQ(tag_text("a O\n b  O \n", SourceFormat::kTagged), "a T\n b  T \n");
  SourceSpec spec =
      spec_of(folder.write("in", "-DOCSTART- -X- -X-\n\na NN I-NP\r\nb VB I-VP\n"), SourceFormat::kTagged);
  spec.word_column = 1;
  spec.tag_column = 4;
  EXPECT_EQ(tagged(spec, [](const std::string& word) { return "<" + word + ">"; }),
            "-DOCSTART- -X- -X-\n\na NN I-NP <a>\r\nb VB I-VP <b>\n");
}

TEST_F(PredictionFile, CommentLinesThatAreNotNamedAreRefused) {
  SourceSpec spec = spec_of(folder.write("in", "# text = Ana\n1\tAna\tB-PER\t-\n"), SourceFormat::kTagged);
  spec.word_column = 2;
  spec.tag_column = 3;
  TaggingChunk chunk;
  EXPECT_THAT(user_error([&] { PredictionInput(spec).next(chunk, 1); }),
              AllOf(StartsWith("65 "), HasSubstr("in:2: tabs"), HasSubstr("--comment")));
}

TEST_F(PredictionFile, TheFormatIsThatOfTheContent) {
  const auto tagged_as = [&](const std::string& name, const std::string& content) {
    SourceSpec spec = spec_of(folder.write(name, content), SourceFormat::kText);
    spec.recognise_format = true;
    spec.read_tags = false;
    return tagged(spec, [](const std::string&) { return "T"; });
  };
  const std::string first = conllu_line("1", "a", "X") + "\n", second = conllu_line("2", "b", "X") + "\n";
  for (const char* name : {"x.conll", "x.txt", "x"})
    EXPECT_EQ(tagged_as(name, "# text = a b\n" + first + second),
              "# text = a b\n" + conllu_line("1", "a", "T") + "\n" + conllu_line("2", "b", "T") + "\n");
  EXPECT_EQ(tagged_as("x.txt", "The cat\n"), "The\tT\ncat\tT\n\n");
  EXPECT_EQ(tagged_as("x.bio", "The O\ncat B-PER\n"), "The T\ncat T\n");
  const std::string columns = "# global.columns = ID FORM UPOS LEMMA XPOS FEATS HEAD DEPREL DEPS MISC\n";
  EXPECT_THAT(user_error([&] { tagged_as("x.conllup", columns + first); }),
              AllOf(StartsWith("65 " + folder.path("x.conllup") + ":1: "), HasSubstr("CoNLL-U Plus")));
}

TEST_F(PredictionFile, TaggedLinesWithoutATagGetAColumn) {
  EXPECT_EQ(tag_text("a\r\nb\n \nc", SourceFormat::kTagged), "a\tT\r\nb\tT\n \nc\tT");
  // Blanks around a word alone do not become a part of it.
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(tag_text(mark + " a  \r\n  b\nc \n", SourceFormat::kTagged), mark + "a\tT\r\nb\tT\nc\tT\n");
}

TEST_F(PredictionFile, TaggedLinesHaveTheColumnsAskedFor) {
  SourceSpec spec =
      spec_of(folder.write("in", "# x\n1\txx:a\tO\t-\n2\txx:b\tO\t-\n\n# y\n1\txx:c\tO\t-\n"), SourceFormat::kTagged);
  spec.word_column = 2;
  spec.tag_column = 3;
  spec.comment = "#";
  spec.strip_prefix = true;
  EXPECT_EQ(tagged(spec, [](const std::string& word) { return "<" + word + ">"; }),
            "# x\n1\txx:a\t<a>\t-\n2\txx:b\t<b>\t-\n\n# y\n1\txx:c\t<c>\t-\n");
}

TEST_F(PredictionFile, DiacriticsAreStrippedFromTheWordsNotFromTheFile) {
  SourceSpec spec = spec_of(folder.write("in", "كَتَبَ\tX\n"), SourceFormat::kTagged);
  spec.strip_diacritics = true;
  EXPECT_EQ(tagged(spec, [](const std::string& word) { return word; }), "كَتَبَ\tكتب\n");
}

TEST_F(PredictionFile, TextLosesByteOrderMarks) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(tag_text(" " + mark + mark + " a\n" + mark, SourceFormat::kText), "a\tT\n\n\n");
  EXPECT_THAT(error_for(" " + mark, SourceFormat::kTagged), HasSubstr("holds no word"));
  EXPECT_EQ(tag_text(mark + mark + "a " + mark + "b " + mark + "\n" + mark + "c", SourceFormat::kText),
            "a\tT\nb\tT\n\nc\tT\n\n");
}

TEST_F(PredictionFile, TextBecomesTaggedLines) {
  EXPECT_EQ(tag_text("\xEF\xBB\xBFGo on!\r\n\n你好", SourceFormat::kText), "Go\tT\non\tT\n!\tT\n\n\n你\tT\n好\tT\n\n");
}

// What comes by standard input, or in a .txt, and was not said to be CoNLL-U.
TEST_F(PredictionFile, ConlluReadAsTextIsAnError) {
  EXPECT_THAT(error_for("# text = Go\n1\tGo\tgo\tVERB\t_\t_\t0\troot\t_\t_\n\n", SourceFormat::kText),
              AllOf(HasSubstr(":2: "), HasSubstr("--format conllu")));
  EXPECT_EQ(tag_text("1\tGo", SourceFormat::kText), "1\tT\nGo\tT\n\n");
}

TEST_F(PredictionFile, EverySizeOfChunkGivesTheSameFile) {
  std::string content;
  for (int i = 0; i < 20; ++i)
    content += "w" + std::to_string(i) + "\tO\nv\tO\n" + std::string(static_cast<size_t>(i % 3) + 1, '\n');
  const SourceSpec spec = spec_of(folder.write("in", content), SourceFormat::kTagged);
  const auto longer = [](const std::string& word) { return "tag of " + word; };
  const std::string whole = tagged(spec, longer, 1000);
  for (const size_t size : {1U, 2U, 7U, 20U}) EXPECT_EQ(tagged(spec, longer, size), whole);
  EXPECT_THAT(whole, StartsWith("w0\ttag of w0\nv\ttag of v\n\nw1\t"));
}

TEST_F(PredictionFile, StandardInput) {
  const std::string path = folder.write("in", "a\nb\n");
  const int saved = ::dup(STDIN_FILENO);
  ASSERT_NE(::freopen(path.c_str(), "r", stdin), nullptr);
  EXPECT_EQ(tagged(spec_of("-", SourceFormat::kTagged), [](const std::string&) { return "T"; }), "a\tT\nb\tT\n");
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
}

TEST_F(PredictionFile, ErrorsNameFileLineAndValue) {
  const std::string in = "65 " + folder.path("in");
  EXPECT_THAT(error_for("1\ta\tb\n", SourceFormat::kConllu), AllOf(StartsWith(in + ":1: "), HasSubstr("3 columns")));
  EXPECT_THAT(
      error_for("# c\n" + conllu_line("1", "a", "X") + "\n" + conllu_line("3", "b", "X") + "\n", SourceFormat::kConllu),
      AllOf(StartsWith(in + ":3: "), HasSubstr("id 3 follows 1")));
  EXPECT_THAT(error_for(conllu_line("one", "a", "X"), SourceFormat::kConllu), HasSubstr("'one'"));
  EXPECT_THAT(error_for(conllu_line("99999999999999999999", "a", "X"), SourceFormat::kConllu), HasSubstr("'9999"));
  EXPECT_THAT(error_for(conllu_line("1", "", "X"), SourceFormat::kConllu), HasSubstr("empty word"));
  EXPECT_THAT(error_for("a\tO\nb\n", SourceFormat::kTagged),
              AllOf(StartsWith(in + ":2: "), HasSubstr("unlike line 1")));
  EXPECT_THAT(error_for("\tO\n", SourceFormat::kTagged), HasSubstr("empty word"));
  EXPECT_THAT(error_for("a\tO\t\n", SourceFormat::kTagged), HasSubstr("an empty last column"));
  EXPECT_THAT(error_for("a\tO\nb\xFF\tO\n", SourceFormat::kTagged),
              AllOf(StartsWith(in + ":2: byte 2"), HasSubstr("0xFF")));
  EXPECT_THAT(error_for(std::string("a\tO\nb\0\tO\n", 9), SourceFormat::kTagged), HasSubstr(":2: a NUL byte"));
  EXPECT_THAT(error_for("version https://git-lfs.github.com/spec/v1\n", SourceFormat::kText),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(error_for("", SourceFormat::kTagged), AllOf(StartsWith(in), HasSubstr("no word")));
  EXPECT_THAT(error_for("\n\n", SourceFormat::kText), HasSubstr("no word"));
  EXPECT_THAT(error_for("a\tO\n" + std::string(10'000'000, 'x') + "\tO\n", SourceFormat::kTagged),
              AllOf(StartsWith(in + ":2: "), HasSubstr("more than 1048576 bytes")));
  EXPECT_LT(error_for(std::string(100'000, 'x') + "\t1\t2\n", SourceFormat::kConllu).size(), 300U + in.size());
}

TEST_F(PredictionFile, AColumnThatIsNotThereIsAnError) {
  SourceSpec spec = spec_of(folder.write("in", "a\tO\n"), SourceFormat::kTagged);
  spec.tag_column = 4;
  TaggingChunk chunk;
  EXPECT_THAT(user_error([&] { PredictionInput(spec).next(chunk, 1); }), AllOf(StartsWith("65 "), HasSubstr("tag=4")));
  spec.tag_column = 2;
  spec.strip_prefix = true;
  EXPECT_THAT(user_error([&] { PredictionInput(spec).next(chunk, 1); }), HasSubstr("no language prefix"));
}

TEST_F(PredictionFile, FilesThatCannotBeRead) {
  EXPECT_THAT(user_error([&] { PredictionInput(spec_of(folder.path("none"), SourceFormat::kText)); }),
              AllOf(StartsWith("66 "), HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(user_error([&] { PredictionInput(spec_of(folder.path(""), SourceFormat::kText)); }),
              AllOf(StartsWith("66 "), HasSubstr("is a folder")));
  if (::geteuid() == 0) return;  // root may read everything
  const std::string path = folder.write("locked", "a\n");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  EXPECT_THAT(user_error([&] { PredictionInput(spec_of(path, SourceFormat::kText)); }), HasSubstr("Permission denied"));
}

TEST(PredictionFileFormats, EntitiesHaveNoPlaceInConllu) {
  EXPECT_THAT(user_error([] { require_format_for(known_task("ner"), SourceFormat::kConllu); }),
              AllOf(StartsWith("64 "), HasSubstr("tagged"), HasSubstr("text")));
  require_format_for(known_task("pos"), SourceFormat::kConllu);
  require_format_for(known_task("ner"), SourceFormat::kTagged);
}

// With its own tags put back a file has the same bytes; with other tags it differs, but not in its lines.
void expect_every_byte_kept(const std::string& path) {
  SourceSpec spec = spec_of(path, SourceFormat::kTagged);
  spec.recognise_format = true;
  PredictionInput input(spec);
  TaggingChunk chunk;
  std::string same, other;
  while (input.next(chunk, 100)) {
    same += chunk.with_tags(chunk.tags);
    for (auto& sentence : chunk.tags)
      for (auto& tag : sentence) tag = "OTHER";
    other += chunk.with_tags(chunk.tags);
  }
  const std::string content = read_file(path);
  EXPECT_TRUE(same == content) << path;
  EXPECT_EQ(std::count(other.begin(), other.end(), '\n'), std::count(content.begin(), content.end(), '\n')) << path;
  EXPECT_FALSE(other == content) << path;
}

// Every treebank and every file of tagged lines below a folder. Returns how many there are.
int expect_every_file_kept(const std::string& folder) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if ((!path.ends_with(".conllu") && !path.ends_with(".tsv")) || path.ends_with("labels.tsv")) continue;
    ++files;
    expect_every_byte_kept(path);
  }
  return files;
}

TEST(PredictionFileReal, TheSampleKeepsEveryByte) { EXPECT_EQ(expect_every_file_kept(test::kSampleData), 20); }

TEST(PredictionFileReal, TreebanksAndWikiAnnKeepEveryByte) {
  if (!test::collection()) GTEST_SKIP() << test::kNoCollection;
  EXPECT_GT(
      expect_every_file_kept(*test::collection() + "ud") + expect_every_file_kept(*test::collection() + "wikiann"), 50);
}

}  // namespace
}  // namespace hyperx::data
