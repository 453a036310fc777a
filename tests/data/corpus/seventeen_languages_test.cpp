#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/digest.h"
#include "common/files.h"
#include "data/batch/batch_maker.h"
#include "data/corpus/corpus.h"
#include "data/corpus/prepare.h"
#include "data/source/manifest.h"
#include "data/tasks/tagging/pos_options.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/data/test_data.h"

// The data of 17 languages through prepare, against counts, digests and features that other programs made.
namespace hyperx::data {
namespace {

using test::collection;
using test::kCollectionManifest;
using test::kEncoder;
using test::kNoCollection;
using test::kReferenceCases;

class SeventeenLanguagesTest : public testing::Test {
 protected:
  static void prepare_once() {
    if (index_ != nullptr) return;
    folder_ = new test::TemporaryFolder();
    PrepareOptions options;
    options.manifest = kCollectionManifest;
    options.root = *collection();
    options.corpus = folder_->path("corpus");
    options.tokenizer = kEncoder;
    index_ = new CorpusIndex(prepare(options));
  }
  static void TearDownTestSuite() {
    delete index_;
    delete folder_;
    index_ = nullptr;
    folder_ = nullptr;
  }
  void SetUp() override {
    if (!collection()) GTEST_SKIP() << kNoCollection;
    prepare_once();
  }

  static const SplitEntry& split_of(const Pair& pair, const std::string& name) {
    for (const PairEntry& entry : index_->pairs) {
      if (entry.pair == pair && entry.find_split(name) != nullptr) return *entry.find_split(name);
    }
    throw std::runtime_error("no " + pair.name() + " " + name);
  }

  static test::TemporaryFolder* folder_;  // of the suite: preparing takes seconds
  static CorpusIndex* index_;
};
test::TemporaryFolder* SeventeenLanguagesTest::folder_ = nullptr;
CorpusIndex* SeventeenLanguagesTest::index_ = nullptr;

struct OracleRow {
  std::string kind, sha256;
  int64_t sentences, words, subwords, unk, empty, longest, over_254;
};

std::map<std::string, OracleRow> tokenizer_oracle() {
  std::istringstream lines(read_file(kReferenceCases + "tokenizer/tokenizer.tsv"));
  std::map<std::string, OracleRow> rows;
  std::string line;
  std::getline(lines, line);  // header
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string file;
    OracleRow row;
    fields >> file >> row.kind >> row.sentences >> row.words >> row.subwords >> row.unk >> row.empty >> row.longest >>
        row.over_254 >> row.sha256;
    rows[file] = row;
  }
  return rows;
}

// The oracle's stream of ids and separators, from the corpus's arrays.
std::string stream_digest(const Split& split) {
  Sha256 digest;
  std::vector<uint32_t> stream;
  for (int64_t s = 0; s < split.sentences(); ++s) {
    const auto ids = split.tokens_of(s);
    const auto positions = split.word_positions_of(s);
    stream.clear();
    size_t at = 0;
    for (size_t w = 0; w < positions.size(); ++w) {
      size_t end = at;
      if (positions[w] >= 0) {
        end = ids.size();
        for (size_t next = w + 1; next < positions.size(); ++next) {
          if (positions[next] < 0) continue;
          end = static_cast<size_t>(positions[next]);
          break;
        }
      }
      for (; at < end; ++at) stream.push_back(static_cast<uint32_t>(ids[at]));
      stream.push_back(0xFFFFFFFFU);
    }
    for (; at < ids.size(); ++at) stream.push_back(static_cast<uint32_t>(ids[at]));  // text
    stream.push_back(0xFFFFFFFEU);
    digest.update({reinterpret_cast<const char*>(stream.data()), stream.size() * sizeof(uint32_t)});
  }
  return digest.hex();
}

TEST_F(SeventeenLanguagesTest, CountsAndIdsAreThoseOfTheOracle) {
  const std::map<std::string, OracleRow> oracle = tokenizer_oracle();
  const Corpus corpus = Corpus::open(folder_->path("corpus"));
  const Manifest manifest = read_manifest(kCollectionManifest, TaskSet::all(), *collection());
  int compared = 0;
  for (const PairEntry& entry : index_->pairs) {
    for (const SplitEntry& split : entry.splits) {
      const auto sources = manifest.entries_of(entry.pair, split.name);
      ASSERT_EQ(sources.size(), split.sources.size());
      const auto found = oracle.find(split.sources[0].path);
      // The oracle knows whole files as they are.
      if (sources.size() != 1 || found == oracle.end() || sources[0]->source.strip_diacritics) continue;
      const OracleRow& row = found->second;
      SCOPED_TRACE(found->first);
      EXPECT_EQ(split.counts.sentences, row.sentences);
      EXPECT_EQ(split.counts.words, row.words);
      EXPECT_EQ(split.counts.subwords, row.subwords);
      EXPECT_EQ(split.counts.unk, row.unk);
      EXPECT_EQ(split.counts.empty, row.empty);
      EXPECT_EQ(split.counts.longest, row.longest);
      EXPECT_EQ(split.counts.over_limit, row.over_254);
      EXPECT_EQ(stream_digest(corpus.split(entry.pair, split.name)), row.sha256);
      ++compared;
    }
  }
  EXPECT_GT(compared, 80);
  RecordProperty("files_compared", compared);
}

TEST_F(SeventeenLanguagesTest, OverlapIsTheKnownOne) {
  const SplitEntry& ug = split_of({"pos", "ug"}, "test");
  EXPECT_EQ(ug.counts.sentences, 900);
  EXPECT_EQ(ug.overlap_with.at("mlm:ug"), 349);  // 39 %
  const SplitEntry& mt = split_of({"ner", "mt"}, "test");
  EXPECT_EQ(mt.counts.sentences, 188);
  EXPECT_EQ(mt.overlap_with.at("ner:mt"), 50);  // 27 %
}

TEST_F(SeventeenLanguagesTest, AnIndependentCountAgrees) {
  const char* python = std::getenv("HYPERX_TEST_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "HYPERX_TEST_PYTHON names no Python with the package `tokenizers`";
  const std::string report = folder_->path("count.txt");
  const std::string command = std::string(python) + " " + HYPERX_SOURCE_DIR + "/tests/tools/count_corpus.py " +
                              kCollectionManifest + " " + *collection() + " " + *collection() +
                              "bert-base-multilingual-cased " + folder_->path("corpus") + " > " + report + " 2>&1";
  const int status = std::system(command.c_str());
  EXPECT_EQ(status, 0) << read_file(report);
}

TEST_F(SeventeenLanguagesTest, AllArraysHaveTheirDigests) {
  const Corpus corpus = Corpus::open(folder_->path("corpus"));
  for (const Pair& pair : corpus.pairs()) corpus.verify(pair);
}

// The original's own feature code: with multiword ranges and empty nodes kept, and truncated at two lengths.
TEST(Features, AreTheOriginals) {
  if (!collection()) GTEST_SKIP() << kNoCollection;
  std::istringstream lines(read_file(kReferenceCases + "features/features.jsonl"));
  std::map<std::string, std::vector<nlohmann::json>> by_file;  // file and task
  std::string line;
  while (std::getline(lines, line)) {
    nlohmann::json item = nlohmann::json::parse(line);
    const std::string name = item["task"].get<std::string>() + " " + item["file"].get<std::string>();
    by_file[name].push_back(std::move(item));
  }
  test::TemporaryFolder folder;
  std::string manifest = "task\tlanguage\tsplit\tformat\tpath\toptions\n";
  std::map<std::string, Pair> pairs;
  for (const auto& [name, items] : by_file) {
    const std::string task = items[0]["task"], file = items[0]["file"];
    const Pair pair{task, "l" + std::to_string(pairs.size())};
    pairs[name] = pair;
    const std::string format = task == "mlm" ? "text" : file.ends_with(".conllu") ? "conllu" : "tagged";
    const std::string options = file.starts_with("wikiann") ? "prefix=strip" : "";
    manifest += task + "\t" + pair.language + "\ttrain\t" + format + "\t" + file + "\t" + options + "\n";
  }
  PrepareOptions options;
  options.manifest = folder.write("manifest.tsv", manifest);
  options.root = *collection();
  options.corpus = folder.path("corpus");
  options.tokenizer = kEncoder;
  options.task_options.edit<PosOptions>().multiword = "keep";
  prepare(options);
  const Corpus corpus = Corpus::open(options.corpus);
  int compared = 0;
  for (const auto& [name, items] : by_file) {
    const Pair& pair = pairs.at(name);
    for (const nlohmann::json& item : items) {
      const BatchMaker maker(corpus, {pair}, "train", item["max_length"], 1);
      const int64_t sentence = item[pair.task == "mlm" ? "line" : "sentence"];
      SCOPED_TRACE(name + " sentence " + std::to_string(sentence));
      const auto ids = item["input_ids"].get<std::vector<int64_t>>();
      ++compared;
      if (pair.task == "mlm") {  // before masking
        const auto tokens = maker.split(0).tokens_of(sentence);
        ASSERT_EQ(maker.token_count(0, sentence), std::ssize(ids));
        EXPECT_TRUE(std::equal(ids.begin() + 1, ids.end() - 1, tokens.begin()));
        continue;
      }
      const Batch batch = maker.make_evaluation(0, {sentence});
      EXPECT_EQ(batch.input_ids, ids);
      std::vector<std::string> labels(ids.size());
      for (size_t i = 0; i < batch.labels.size(); ++i) {
        labels[static_cast<size_t>(batch.label_positions[i])] =
            corpus.tasks().at(pair.task).labels()[static_cast<size_t>(batch.labels[i])];
      }
      EXPECT_EQ(labels, item["labels"].get<std::vector<std::string>>());
    }
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace hyperx::data
