#include <gmock/gmock.h>

#include <filesystem>

#include "common/files.h"
#include "data/corpus/corpus.h"
#include "data/corpus/prepare.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

namespace fs = std::filesystem;

// What a prepare that is killed between two steps of commit() leaves.
class KilledPrepareTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_letter_vocabulary(folder_);
    folder_.write("a.conllu", test::random_conllu(9, 1));
    test::write_manifest(folder_, {"pos aa train conllu a.conllu"});
    prepare(options_);
    folder_.write("a.conllu", test::random_conllu(8, 3));
    options_.force = true;
  }
  // Prepares again: afterwards the new corpus is there and nothing else.
  void expect_swept() {
    prepare(options_);
    EXPECT_EQ(Corpus::open(corpus_).split({"pos", "aa"}, "train").sentences(), 8);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    EXPECT_THAT(names, testing::UnorderedElementsAre("a.conllu", "corpus", "letters", "manifest.tsv"));
    EXPECT_FALSE(fs::exists(corpus_ + "/.hyperx-prepare"));
  }
  test::TemporaryFolder folder_;
  const std::string corpus_ = folder_.path("corpus");
  PrepareOptions options_ = test::options_of(folder_);
};

TEST_F(KilledPrepareTest, BeforeTheExchange) {
  folder_.write("corpus.tmp/.hyperx-prepare", "");
  folder_.write("corpus.tmp/index.json", "half");
  expect_swept();
}

TEST_F(KilledPrepareTest, WhileTheOldCorpusIsRemoved) {
  folder_.write("corpus/.hyperx-prepare", "");
  folder_.write("corpus.tmp/pos.aa.h5", "old");
  expect_swept();
}

TEST_F(KilledPrepareTest, WhileTheOldCorpusIsRemovedWithoutAnExchangeOfNames) {
  folder_.write("corpus/.hyperx-prepare", "");
  folder_.write("corpus.123.old.tmp/pos.aa.h5", "old");
  expect_swept();
}

TEST_F(KilledPrepareTest, BetweenTwoRenames) {
  const std::string digest = Corpus::open(corpus_).digest();
  fs::rename(corpus_, corpus_ + ".123.old.tmp");
  folder_.write("corpus.tmp/.hyperx-prepare", "");
  options_.force = false;
  EXPECT_THAT(hyperx::test::user_error([&] { prepare(options_); }), testing::HasSubstr("holds a corpus already"));
  EXPECT_EQ(Corpus::open(corpus_).digest(), digest) << "the old one is back";
  EXPECT_FALSE(fs::exists(corpus_ + ".tmp"));
  options_.force = true;
  expect_swept();
}

TEST_F(KilledPrepareTest, AFolderOfAnotherIsKept) {
  folder_.write("corpus.tmp/index.json", "mine");
  EXPECT_THAT(hyperx::test::user_error([&] { prepare(options_); }),
              testing::HasSubstr("was not made by prepare; remove it"));
  EXPECT_EQ(read_file(corpus_ + ".tmp/index.json"), "mine");
}

}  // namespace
}  // namespace hyperx::data
