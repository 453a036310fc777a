#include "data/tasks/dependencies/dependencies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/files.h"
#include "data/corpus/corpus.h"
#include "data/corpus/prepare.h"
#include "data/tasks/dependencies/attachment_scorer.h"
#include "data/tasks/dependencies/complete_tree.h"
#include "data/tasks/scoring.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/data/tasks/known_task.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

using hyperx::test::user_error;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const Dependencies& dep() {
  static const Dependencies task("dep", universal_relations());
  return task;
}

std::string line(const std::string& id, const std::string& form, const std::string& head, const std::string& relation) {
  return id + "\t" + form + "\t_\tNOUN\t_\t_\t" + head + "\t" + relation + "\t_\t_\n";
}

TEST(Dependencies, ALabelIsHeadAndRelation) {
  EXPECT_EQ(universal_relations().size(), 38U);
  const auto label = dep().label_of("12\tnsubj");
  ASSERT_TRUE(label);
  EXPECT_EQ(dep().tag_of(*label), "12\tnsubj");
  EXPECT_EQ(dep().label_of("12\tnsubj:pass"), label) << "sub-types are cut";
  EXPECT_TRUE(dep().is_cut("12\tnsubj:pass"));
  EXPECT_FALSE(dep().is_cut("12\tnsubj"));
  for (const char* tag : {"12\tsubject", "_\tnsubj", "-1\tnsubj", "1.5\tnsubj", "nsubj", "", "\tnsubj",
                          "99999999999\tnsubj", "60000000\tnsubj", "113025456\tnsubj"})
    EXPECT_FALSE(dep().label_of(tag)) << tag;
  EXPECT_LT(*dep().label_of("3\t_"), dep().label_kinds(3));
  EXPECT_GE(*dep().label_of("4\tacl"), dep().label_kinds(3));
}

class DependencyFilesTest : public testing::Test {
 protected:
  std::string refusal(const std::string& conllu) {
    folder_.write("a.conllu", conllu);
    test::write_manifest(folder_, {"dep aa train conllu a.conllu"});
    PrepareOptions options = test::options_of(folder_);
    options.force = true;
    return user_error([&] { prepare(options); });
  }
  FileScores score(const std::string& gold, const std::string& predicted) {
    folder_.write("gold.conllu", gold);
    folder_.write("predicted.conllu", predicted);
    SourceSpec a, b;
    a.path = folder_.path("gold.conllu");
    b.path = folder_.path("predicted.conllu");
    a.format = b.format = SourceFormat::kConllu;
    return score_files(a, b, dep());
  }

  test::TemporaryFolder folder_;
};

TEST_F(DependencyFilesTest, AreReadAndCounted) {
  test::write_letter_vocabulary(folder_);
  EXPECT_EQ(
      refusal("# one\n1-2\tab\t_\t_\t_\t_\t_\t_\t_\t_\n" + line("1", "a", "2", "nsubj:pass") +
              line("2", "b", "0", "root") + "2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n" + line("3", "c", "2", "punct") + "\n"),
      "");
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const Split& split = corpus.split({"dep", "aa"}, "train");
  std::vector<std::string> tags;
  for (const LabelId label : split.labels_of(0)) tags.push_back(dep().tag_of(label));
  EXPECT_THAT(tags, ElementsAre("2\tnsubj", "0\troot", "2\tpunct"));
  EXPECT_EQ(corpus.entry({"dep", "aa"}).find_split("train")->counts.cut, 1);
  EXPECT_THAT(read_file(folder_.path("corpus/summary.tsv")), HasSubstr("sub-types of 1 relations are left out"));
}

TEST_F(DependencyFilesTest, BadTreesAreRefusedWithTheirLine) {
  test::write_letter_vocabulary(folder_);
  const std::string at = "65 " + folder_.path("a.conllu") + ":";
  const auto two = [](const char* first, const char* relation, const char* second) {
    return line("1", "a", first, relation) + line("2", "b", second, "root") + "\n";
  };
  EXPECT_THAT(refusal(two("3", "nsubj", "0")),
              AllOf(StartsWith(at + "1: HEAD is not in the sentence"), HasSubstr("'3'")));
  EXPECT_THAT(refusal(two("0", "nsubj", "0")), StartsWith(at + "2: a second root"));
  EXPECT_THAT(refusal(two("2", "nsubj", "1")), StartsWith(at + "1: no root in the sentence"));
  EXPECT_THAT(refusal(line("1", "a", "2", "obj") + line("2", "b", "1", "obj") + line("3", "c", "0", "root") + "\n"),
              AllOf(StartsWith(at), HasSubstr("a cycle of heads through word 1")));
  EXPECT_THAT(refusal(two("2", "subject", "0")),
              AllOf(StartsWith(at + "1: unknown relation, value 'subject'"), HasSubstr("nsubj")));
  EXPECT_THAT(refusal(two("x", "nsubj", "0")), StartsWith(at + "1: "));
  EXPECT_THAT(refusal(two("60000000", "nsubj", "0")), AllOf(StartsWith(at + "1: HEAD"), HasSubstr("'60000000'")));
  EXPECT_THAT(refusal(two("_", "_", "_")), AllOf(StartsWith(at), HasSubstr("HEAD is missing")));
  folder_.write("map.tsv", "subject\tnsubj\n");
  folder_.write("a.conllu", two("2", "subject", "0"));
  test::write_manifest(folder_, {"dep aa train conllu a.conllu labels=map.tsv"});
  EXPECT_THAT(user_error([&] { prepare(test::options_of(folder_)); }), HasSubstr("labels="));
}

TEST_F(DependencyFilesTest, AreScored) {
  const std::string gold = line("1", "a", "2", "nsubj:pass") + line("2", "b", "0", "root") +
                           line("3", "c", "2", "obj") + line("4", "d", "3", "det") + "\n";
  const std::string predicted = line("1", "a", "2", "nsubj") + line("2", "b", "0", "root") +
                                line("3", "c", "2", "iobj") + line("4", "d", "2", "det") + "\n";
  const FileScores scores = score(gold, predicted);
  ASSERT_TRUE(scores.attachment);
  EXPECT_EQ(scores.attachment->uas, 0.75);
  EXPECT_EQ(scores.attachment->las, 0.5);
  EXPECT_EQ(scores.words, 4);
  EXPECT_THAT(scores_table(scores), AllOf(HasSubstr("UAS        75.00"), HasSubstr("LAS        50.00 (2 of 4)")));
  EXPECT_THAT(scores_json(scores), HasSubstr("\"las\": 0.5"));
  EXPECT_THAT(user_error([&] { score(gold, line("1", "a", "9", "nsubj") + "\n"); }),
              AllOf(StartsWith("65 "), HasSubstr("predicted.conllu:1")));
  EXPECT_THAT(user_error([&] { score(line("1", "a", "113025456", "nsubj") + "\n", gold); }),
              AllOf(StartsWith("65 "), HasSubstr("gold.conllu:1")));
}

TEST(CompleteTree, HangsWordsWithoutAPredictionOnTheRoot) {
  std::vector<std::string> tags{"_\t_", "3\tdet", "0\troot", "_\t_"};
  complete_tree(dep(), tags);
  EXPECT_THAT(tags, ElementsAre("3\tdep", "3\tdet", "0\troot", "3\tdep"));
  tags = {"_\t_", "_\t_"};
  complete_tree(dep(), tags);
  EXPECT_THAT(tags, ElementsAre("0\troot", "1\tdep"));
}

}  // namespace
}  // namespace hyperx::data
