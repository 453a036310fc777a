#include "data/corpus/prepare.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/files.h"
#include "data/corpus/corpus.h"
#include "data/corpus/corpus_writer.h"
#include "data/corpus/overlap.h"
#include "data/corpus/prepare_summary.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

namespace fs = std::filesystem;

class PrepareTest : public testing::Test {
 protected:
  void SetUp() override { test::write_letter_vocabulary(folder_); }

  // Asserts that preparing fails so and that neither the corpus nor its temporary folder is left.
  void expect_refused(const PrepareOptions& options, ExitCode code, const std::string& words, const std::string& what) {
    EXPECT_THAT(hyperx::test::message_of(code, [&] { prepare(options); }), testing::HasSubstr(words)) << what;
    EXPECT_FALSE(fs::exists(options.corpus)) << what;
    EXPECT_FALSE(fs::exists(options.corpus + ".tmp")) << what;
  }

  static const SplitEntry& split_of(const CorpusIndex& index, const Pair& pair, const std::string& name) {
    for (const PairEntry& entry : index.pairs) {
      if (entry.pair == pair && entry.find_split(name) != nullptr) return *entry.find_split(name);
    }
    throw std::runtime_error("no " + pair.name() + " " + name);
  }

  test::TemporaryFolder folder_;
};

TEST_F(PrepareTest, CountsByHand) {
  // 3 + 2 + 1 letters; a word of 9 letters that begins within the limit, a word that does not, one without a sub-word,
  // one [UNK].
  folder_.write("a.conllu", test::conllu_of({"abc de f", "abcdefghi abc", "\u00ad b", "\u03b2"}));
  folder_.write("a.txt", "ab cd\nabcdefghij\n\n\u00ad\n");
  test::write_manifest(folder_, {"pos aa train conllu a.conllu", "mlm aa train text a.txt"});
  PrepareOptions options = test::options_of(folder_);
  options.max_subwords = 10;
  const CorpusIndex index = prepare(options);
  const SplitCounts pos = split_of(index, {"pos", "aa"}, "train").counts;
  EXPECT_EQ(pos.sentences, 4);
  EXPECT_EQ(pos.words, 8);
  EXPECT_EQ(pos.subwords, 6 + 12 + 1 + 1);
  EXPECT_EQ(pos.unk, 1);
  EXPECT_EQ(pos.empty, 1);
  EXPECT_EQ(pos.truncated, 1);
  EXPECT_EQ(pos.over_limit, 1);
  EXPECT_EQ(pos.longest, 12);
  const SplitCounts mlm = split_of(index, {"mlm", "aa"}, "train").counts;
  EXPECT_EQ(mlm.sentences, 3);
  EXPECT_EQ(mlm.words, 0);
  EXPECT_EQ(mlm.subwords, 14);
  EXPECT_EQ(mlm.empty, 1);
  EXPECT_EQ(mlm.over_limit, 1);

  EXPECT_EQ(read_file(folder_.path("corpus/summary.tsv")), summary_tsv(index));
  EXPECT_NE(summary_tsv(index).find("pos:aa\ttrain\t4\t8\t20\t1\t0.05000\t1\t1\t1\t12\t0\t0\t0\t0\t0\t\n"),
            std::string::npos);
  const auto json = nlohmann::json::parse(read_file(folder_.path("corpus/summary.json")));
  EXPECT_EQ(json["splits"][0]["truncated"], 1);
  EXPECT_EQ(json["splits"][1]["subwords"], 14);
  EXPECT_EQ(Corpus::open(folder_.path("corpus")).index().to_json(), index.to_json());
}

TEST_F(PrepareTest, SeveralFilesOfOneSplitFollowEachOther) {
  folder_.write("a.conllu", test::random_conllu(7, 1));
  folder_.write("b.conllu", test::random_conllu(9, 2));
  folder_.write("ab.conllu", test::random_conllu(7, 1) + test::random_conllu(9, 2));
  test::write_manifest(
      folder_, {"pos aa train conllu a.conllu", "pos bb train conllu ab.conllu", "pos aa train conllu b.conllu"});
  const CorpusIndex index = prepare(test::options_of(folder_));
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const Split &a = corpus.split({"pos", "aa"}, "train"), &b = corpus.split({"pos", "bb"}, "train");
  EXPECT_TRUE(std::ranges::equal(a.token_ids, b.token_ids));
  EXPECT_TRUE(std::ranges::equal(a.sentence_starts, b.sentence_starts));
  EXPECT_TRUE(std::ranges::equal(a.labels, b.labels));
  EXPECT_EQ(split_of(index, {"pos", "aa"}, "train").sources[1].sentences, 9);
}

TEST_F(PrepareTest, SameCorpusForAnyNumberOfThreads) {
  std::vector<std::string> rows;
  for (int i = 0; i < 9; ++i) {
    const std::string name = "f" + std::to_string(i);
    folder_.write(name + ".conllu", test::random_conllu(40 + 10 * i, static_cast<uint64_t>(i)));
    rows.push_back("pos l" + std::to_string(i / 3) +
                   (i % 3 == 0   ? " train"
                    : i % 3 == 1 ? " dev"
                                 : " test") +
                   " conllu " + name + ".conllu");
  }
  test::write_manifest(folder_, rows);
  std::vector<std::string> digests;
  for (const int threads : {1, 2, 5}) {
    PrepareOptions options = test::options_of(folder_);
    options.corpus = folder_.path("corpus" + std::to_string(threads));
    options.threads = threads;
    prepare(options);
    digests.push_back(Corpus::open(options.corpus).digest());  // over the digests and places of all arrays
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[0], digests[2]);
}

// The train split shares "aa bb" with dev (twice there), the text shares "c d e" and, by spaces alone, "aa bb".
class OverlapTest : public PrepareTest {
 protected:
  void SetUp() override {
    PrepareTest::SetUp();
    folder_.write("train.conllu", test::conllu_of({"aa bb", "x y", "z", "aa bb"}));
    folder_.write("dev.conllu", test::conllu_of({"aa bb", "c d e", "q", "aa bb", "z z"}));
    folder_.write("text.txt", "aabb\ncde\nCDE\nother\n");
    folder_.write("ner.tsv", "zz\tO\n\nz\tO\nz\tO\n\n");
    test::write_manifest(
        folder_, {"pos aa train conllu train.conllu", "pos aa dev conllu dev.conllu", "mlm aa train text text.txt",
                  "ner aa train tagged ner.tsv", "pos bb test conllu dev.conllu"});
  }
};

TEST_F(OverlapTest, IsReported) {
  const CorpusIndex index = prepare(test::options_of(folder_));
  const SplitEntry& dev = split_of(index, {"pos", "aa"}, "dev");
  const std::map<std::string, int64_t> expected = {{"pos:aa", 2}, {"mlm:aa", 3}, {"ner:aa", 1}};
  EXPECT_EQ(dev.overlap_with, expected);
  EXPECT_EQ(dev.overlap, 4);
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const auto seen = corpus.split({"pos", "aa"}, "dev").seen;
  EXPECT_EQ((std::vector<uint8_t>(seen.begin(), seen.end())), (std::vector<uint8_t>{1, 1, 0, 1, 1}));
  EXPECT_TRUE(corpus.split({"pos", "aa"}, "train").seen.empty());
  EXPECT_EQ(split_of(index, {"pos", "bb"}, "test").overlap, 0);  // another language
  EXPECT_NE(summary_tsv(index).find("\t4\t2\t1\t3\t0\t\n"), std::string::npos) << summary_tsv(index);
}

TEST_F(OverlapTest, DropsTrainingSentences) {
  PrepareOptions options = test::options_of(folder_);
  options.overlap = "drop";
  const CorpusIndex index = prepare(options);
  EXPECT_EQ(split_of(index, {"pos", "aa"}, "train").dropped, 2);
  EXPECT_EQ(split_of(index, {"pos", "aa"}, "train").counts.sentences, 2);
  EXPECT_EQ(split_of(index, {"mlm", "aa"}, "train").dropped, 2);
  EXPECT_EQ(split_of(index, {"ner", "aa"}, "train").dropped, 2);
  EXPECT_EQ(split_of(index, {"pos", "aa"}, "dev").counts.sentences, 5);
  EXPECT_EQ(split_of(index, {"pos", "aa"}, "dev").overlap, 0);
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  for (const uint8_t seen : corpus.split({"pos", "aa"}, "dev").seen) EXPECT_EQ(seen, 0);
  const Split& train = corpus.split({"pos", "aa"}, "train");  // "x y", "z"
  EXPECT_TRUE(std::ranges::equal(train.token_ids, std::vector<int32_t>{5 + 23, 5 + 24, 5 + 25}));
  EXPECT_TRUE(std::ranges::equal(train.sentence_starts, std::vector<int64_t>{0, 2, 3}));
  EXPECT_TRUE(std::ranges::equal(train.word_starts, std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(train.labels.size(), 3U);
}

TEST_F(OverlapTest, IsRefused) {
  PrepareOptions options = test::options_of(folder_);
  options.overlap = "refuse";
  expect_refused(options, ExitCode::kBadData, "4 of 5 sentences of pos:aa dev", "refuse");
}

TEST(SentenceKey, LooksThroughSpacesAndCompositionOnly) {
  const auto key = [](std::vector<std::string_view> words) { return sentence_key(words); };
  EXPECT_EQ(key({"a b", "c"}), key({"abc"}));
  EXPECT_EQ(key({"a\u00a0b\u3000c"}), key({"abc"}));
  EXPECT_EQ(key({"e\u0301"}), key({"\u00e9"}));
  EXPECT_EQ(key({"e", "\u0301"}), key({"\u00e9"}));
  EXPECT_NE(key({"abc"}), key({"abC"}));
  EXPECT_NE(key({"abc"}), key({"abc."}));
  EXPECT_NE(key({"abc"}), key({std::string_view("abc\0", 4)}));
}

TEST_F(PrepareTest, ATestSplitThatTrainsIsNeverScored) {
  folder_.write("a.conllu", test::random_conllu(9, 1));
  folder_.write("b.conllu", test::random_conllu(9, 2));
  test::write_manifest(folder_,
                       {"pos aa test conllu a.conllu", "pos bb test conllu a.conllu", "pos bb dev conllu b.conllu"});
  PrepareOptions options = test::options_of(folder_);
  options.train_on_test = true;
  options.overlap = "drop";  // its own sentences are not an overlap
  const CorpusIndex index = prepare(options);
  EXPECT_TRUE(index.pairs[0].trains_on_test);
  EXPECT_FALSE(index.pairs[1].trains_on_test);
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  EXPECT_EQ(corpus.split({"pos", "aa"}, "train").sentences(), 9);
  EXPECT_FALSE(corpus.has({"pos", "aa"}, "test"));
  EXPECT_TRUE(corpus.has({"pos", "bb"}, "test"));
  EXPECT_THAT(hyperx::test::user_error([&] {
                corpus.split({"pos", "aa"}, "test");
              }),
              testing::HasSubstr("never scored"));
}

TEST_F(PrepareTest, AnExistingFolderIsReplacedOnlyWithForce) {
  folder_.write("a.conllu", test::random_conllu(9, 1));
  test::write_manifest(folder_, {"pos aa train conllu a.conllu"});
  PrepareOptions options = test::options_of(folder_);
  fs::create_directories(folder_.path("corpus"));  // empty: nothing to lose
  prepare(options);
  const std::string digest = Corpus::open(options.corpus).digest();
  EXPECT_THROW(prepare(options), UserError);
  folder_.write("a.conllu", "1\tbroken\n");
  options.force = true;
  EXPECT_THROW(prepare(options), UserError);
  EXPECT_EQ(Corpus::open(options.corpus).digest(), digest);  // the old one stands
  folder_.write("a.conllu", test::random_conllu(8, 3));
  folder_.write("corpus.tmp/.hyperx-prepare", "left by a killed run");
  prepare(options);
  EXPECT_EQ(Corpus::open(options.corpus).split({"pos", "aa"}, "train").sentences(), 8);
  EXPECT_FALSE(fs::exists(options.corpus + ".tmp"));
  folder_.write("home/letter.txt", "dear");
  options.corpus = folder_.path("home");  // no corpus: not even with force
  EXPECT_THROW(prepare(options), UserError);
  EXPECT_EQ(read_file(folder_.path("home/letter.txt")), "dear");
  options.corpus = folder_.path("new");
  folder_.write("new.tmp/letter.txt", "dear");
  EXPECT_THROW(prepare(options), UserError);
  EXPECT_EQ(read_file(folder_.path("new.tmp/letter.txt")), "dear");
}

// Prepares the manifest's files; returns what is logged.
std::string log_of(const PrepareOptions& options) {
  testing::internal::CaptureStderr();
  prepare(options);
  return testing::internal::GetCapturedStderr();
}

TEST_F(PrepareTest, LikelyMistakesAreWarnedOf) {
  folder_.write("entities", "ab O\nc O\n\nde O\n");
  folder_.write("greek.conllu", test::conllu_of({"\u03b2\u03b3 \u03b4 b"}));
  folder_.write("long.conllu", test::conllu_of({"abcdefghijkl"}));
  folder_.write("soft.conllu", test::conllu_of({"\u00ad \u00ad"}));
  folder_.write("good.conllu", test::random_conllu(20, 1));
  test::write_manifest(folder_, {"ner aa train tagged entities", "pos bb train conllu greek.conllu",
                                 "pos cc train conllu soft.conllu", "pos dd train conllu good.conllu"});
  const std::string log = log_of(test::options_of(folder_));
  EXPECT_THAT(log, testing::HasSubstr("warning: ner:aa train: all of its 3 words have the label O"));
  EXPECT_THAT(log, testing::HasSubstr("warning: pos:bb train: 2 of 3 sub-words are unknown"));
  EXPECT_THAT(log,
              testing::HasSubstr("warning: pos:cc train: none of its 2 words can carry a label: 2 have no sub-word"));
  EXPECT_THAT(log, testing::Not(testing::HasSubstr("pos:dd")));
}

TEST_F(PrepareTest, RunningTextInColumnsIsRefused) {
  folder_.write("a.tsv", "ab O\ncd B-PER\n");
  test::write_manifest(folder_, {"mlm aa train text a.tsv"});
  expect_refused(test::options_of(folder_), ExitCode::kBadData, "running text", "two columns");
  folder_.write("ids.tsv", "1\tab\tO\n2\tcd\tB-PER\n");
  test::write_manifest(folder_, {"ner aa train tagged ids.tsv"});
  expect_refused(test::options_of(folder_), ExitCode::kBadData, "numbers, not words", "ids");
  folder_.write("plus.conllu",
                "# global.columns = ID FORM UPOS LEMMA XPOS FEATS HEAD DEPREL DEPS MISC\n" + test::conllu_of({"ab"}));
  test::write_manifest(folder_, {"pos aa train conllu plus.conllu"});
  expect_refused(test::options_of(folder_), ExitCode::kBadData, "CoNLL-U Plus", "other columns");
}

struct BadInput {
  const char* what;
  const char* format;
  std::string content;
  ExitCode code;
  std::string words;  // that the message holds
};

const std::string kGood = "1\tab\t_\tNOUN\t_\t_\t0\troot\t_\t_\n";

std::vector<BadInput> bad_inputs() {
  return {
      {"column count", "conllu", kGood + "2\tab\tNOUN\n\n", ExitCode::kBadData, ":2:"},
      {"id", "conllu", kGood + "3\tab\t_\tNOUN\t_\t_\t1\tdep\t_\t_\n\n", ExitCode::kBadData, ":2:"},
      {"invalid UTF-8", "conllu", "1\ta\xff\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n", ExitCode::kBadData, ":1"},
      {"tag of UD 1", "conllu", "1\tand\t_\tCONJ\t_\t_\t0\troot\t_\t_\n\n", ExitCode::kBadData, "CONJ"},
      {"treebank of _", "conllu", test::conllu_of({"_ _ _ _"}), ExitCode::kBadData, "_"},
      {"empty file", "conllu", "", ExitCode::kBadData, "bad"},
      {"tagged: one column", "tagged", "ab\n\n", ExitCode::kBadData, ":1"},
      {"tagged: unknown tag", "tagged", "ab NN\n\n", ExitCode::kBadData, "NN"},
      {"10 MB line", "conllu", std::string(10 << 20, 'a') + "\n", ExitCode::kBadData, "bad"},
  };
}

TEST_F(PrepareTest, TwoAtOnceDoNotMix) {
  const std::string path = folder_.path("corpus");
  {
    CorpusFolder first(path, false);
    folder_.write("corpus.tmp/file", "of the first");
    EXPECT_THAT(hyperx::test::message_of(ExitCode::kCannotCreate, [&] { const CorpusFolder second(path, false); }),
                testing::HasSubstr("another prepare is writing this corpus"));
    EXPECT_EQ(read_file(path + ".tmp/file"), "of the first");
    first.commit();
  }
  EXPECT_EQ(read_file(path + "/file"), "of the first");
  EXPECT_FALSE(fs::exists(path + "/.hyperx-prepare"));
  EXPECT_FALSE(fs::exists(path + ".tmp"));
}

TEST_F(PrepareTest, BadInputIsNamedAndLeavesNoFolder) {
  folder_.write("good.conllu", test::random_conllu(200, 1));
  for (const BadInput& bad : bad_inputs()) {
    folder_.write("bad", bad.content);
    test::write_manifest(folder_,
                         {"pos aa train conllu good.conllu", std::string("pos aa dev ") + bad.format + " bad"});
    expect_refused(test::options_of(folder_), bad.code, bad.words, bad.what);
  }
  test::write_manifest(folder_, {"pos aa train conllu missing.conllu"});
  expect_refused(test::options_of(folder_), ExitCode::kNoInput, "missing.conllu", "missing file");
  fs::create_directory(folder_.path("a-folder"));
  test::write_manifest(folder_, {"pos aa train conllu a-folder"});
  expect_refused(test::options_of(folder_), ExitCode::kNoInput, "a-folder", "a directory");
  PrepareOptions options = test::options_of(folder_);
  options.manifest = folder_.path("none.tsv");
  expect_refused(options, ExitCode::kNoInput, "none.tsv", "missing manifest");
  test::write_manifest(folder_, {"pos aa train conllu good.conllu"});
  options = test::options_of(folder_);
  options.tokenizer = folder_.path("nowhere");
  expect_refused(options, ExitCode::kNoInput, "nowhere", "missing vocabulary");
}

TEST_F(PrepareTest, FilesWithoutPermissionAreNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read and write everything";
  folder_.write("good.conllu", test::random_conllu(20, 1));
  test::write_manifest(folder_, {"pos aa train conllu good.conllu"});
  fs::permissions(folder_.path("good.conllu"), fs::perms::none);
  expect_refused(test::options_of(folder_), ExitCode::kNoInput, "good.conllu", "no permission");
  fs::permissions(folder_.path("good.conllu"), fs::perms::owner_all);
  fs::create_directory(folder_.path("closed"));
  fs::permissions(folder_.path("closed"), fs::perms::owner_read);
  PrepareOptions options = test::options_of(folder_);
  options.corpus = folder_.path("closed/corpus");
  expect_refused(options, ExitCode::kCannotCreate, "closed", "a folder that cannot be made");
  fs::permissions(folder_.path("closed"), fs::perms::owner_all);
}

TEST_F(PrepareTest, TolerableInputIsReadRight) {
  const std::string plain = test::random_conllu(5, 1);
  std::string crlf;
  for (const char c : plain) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  folder_.write("plain", plain);
  folder_.write("crlf", crlf);
  folder_.write("bom", "\xef\xbb\xbf" + plain);
  folder_.write("end", plain.substr(0, plain.size() - 2));
  test::write_manifest(folder_, {"pos plain train conllu plain", "pos crlf train conllu crlf",
                                 "pos bom train conllu bom", "pos end train conllu end"});
  prepare(test::options_of(folder_));
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const Split& expected = corpus.split({"pos", "plain"}, "train");
  for (const char* language : {"crlf", "bom", "end"}) {
    const Split& split = corpus.split({"pos", language}, "train");
    EXPECT_TRUE(std::ranges::equal(split.token_ids, expected.token_ids)) << language;
    EXPECT_TRUE(std::ranges::equal(split.labels, expected.labels)) << language;
    EXPECT_TRUE(std::ranges::equal(split.word_starts, expected.word_starts)) << language;
  }
}

}  // namespace
}  // namespace hyperx::data
