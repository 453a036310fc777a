#include "data/corpus/corpus.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "common/random.h"
#include "data/corpus/majority_baseline.h"
#include "data/source/sentence_reader.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/data/tasks/known_task.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

class CorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_letter_vocabulary(folder_);
    folder_.write("a.conllu", test::random_conllu(30, 1));
    folder_.write("b.conllu", test::random_conllu(10, 2) + "1\t\u00ad\t_\tX\t_\t_\t_\t_\t_\t_\n\n");
    folder_.write("c.txt", test::random_text(20, 3));
    test::write_manifest(folder_, {"pos aa train conllu a.conllu source=somewhere;licence=CC0",
                                   "pos aa dev conllu b.conllu", "mlm aa train text c.txt limit=15"});
    prepare(test::options_of(folder_));
  }

  std::string corpus_path(const std::string& name) const { return folder_.path("corpus/" + name); }

  // Everything that a reader may do with a corpus.
  static void use(const std::string& folder) {
    const Corpus corpus = Corpus::open(folder);
    for (const PairEntry& entry : corpus.index().pairs) {
      corpus.verify(entry.pair);
      for (const SplitEntry& split : entry.splits) {
        int64_t sum = 0;
        const Split& data = corpus.split(entry.pair, split.name);
        for (int64_t s = 0; s < data.sentences(); ++s) {
          for (const int32_t id : data.tokens_of(s)) sum += id;
          for (const int32_t position : data.word_positions_of(s)) sum += position;
          for (const LabelId label : data.labels_of(s)) sum += label;
        }
        EXPECT_NE(sum, -1);
      }
    }
    corpus.verify_summaries();
  }

  void expect_refused(const std::string& words, ExitCode code = ExitCode::kBadData) const {
    EXPECT_THAT(hyperx::test::message_of(code, [&] { use(folder_.path("corpus")); }), testing::HasSubstr(words));
  }

  void edit_index(const std::function<void(nlohmann::ordered_json&)>& edit) const {
    auto json = nlohmann::ordered_json::parse(read_file(corpus_path("index.json")));
    edit(json);
    write_file_atomically(corpus_path("index.json"), json.contains(kOwnDigest)
                                                         ? with_own_digest(json.dump(), "\"index_xxh128\":\"")
                                                         : json.dump());
  }
  // As versions before 4 wrote it: without digests of the index and of whole files.
  void make_older() const {
    edit_index([](nlohmann::ordered_json& json) {
      json["format_version"] = 3;
      json.erase(kOwnDigest);
      json.erase("summaries");
      for (auto& pair : json["pairs"]) pair.erase("xxh128");
    });
  }
  static constexpr const char* kOwnDigest = "index_xxh128";

  test::TemporaryFolder folder_;
};

TEST_F(CorpusTest, HoldsWhatTheReadersGave) {
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const auto tokenizer = Tokenizer::load(folder_.path("letters"));
  EXPECT_EQ(corpus.index().tokenizer_digest, tokenizer->digest());
  EXPECT_EQ(corpus.tasks().at("pos").labels().size(), 17U);
  for (const auto& [name, file, sentences] : {std::tuple{"train", "a.conllu", 30}, std::tuple{"dev", "b.conllu", 11}}) {
    const Split& split = corpus.split({"pos", "aa"}, name);
    ASSERT_EQ(split.sentences(), sentences);
    SourceSpec spec;
    spec.path = folder_.path(file);
    spec.format = SourceFormat::kConllu;
    const auto reader = open_source(spec, known_task("pos"));
    Sentence sentence;
    for (int64_t s = 0; s < sentences; ++s) {
      ASSERT_TRUE(reader->next(sentence));
      std::vector<int32_t> ids, positions;
      for (const std::string_view word : sentence.words) {
        const size_t before = ids.size();
        tokenizer->word(word, ids);
        positions.push_back(ids.size() == before ? -1 : static_cast<int32_t>(before));
      }
      EXPECT_TRUE(std::ranges::equal(split.tokens_of(s), ids));
      EXPECT_TRUE(std::ranges::equal(split.word_positions_of(s), positions));
      EXPECT_TRUE(std::ranges::equal(split.labels_of(s), sentence.labels));
    }
  }
  EXPECT_EQ(corpus.split({"pos", "aa"}, "dev").word_positions_of(10)[0], -1);  // a soft hyphen alone
  EXPECT_EQ(corpus.entry({"pos", "aa"}).find_split("dev")->counts.empty, 1);
  const Split& text = corpus.split({"mlm", "aa"}, "train");
  EXPECT_EQ(text.sentences(), 15);
  EXPECT_FALSE(text.labelled());
  EXPECT_TRUE(text.labels_of(0).empty());
  const SourceEntry& source = corpus.entry({"pos", "aa"}).find_split("train")->sources[0];
  EXPECT_EQ(source.path, "a.conllu");
  EXPECT_EQ(source.origin, "somewhere");
  EXPECT_EQ(source.licence, "CC0");
  use(folder_.path("corpus"));
}

TEST_F(CorpusTest, TheMajorityBaselineIsThatOfTheTrainingData) {
  const test::TemporaryFolder folder;
  test::write_letter_vocabulary(folder);
  folder.write("en.train", test::conllu_of({"a b c"}, "VERB") + test::conllu_of({"a b"}, "NOUN"));
  folder.write("en.test", test::conllu_of({"a"}, "VERB") + test::conllu_of({"a b c"}, "NOUN"));
  test::write_manifest(folder, {"pos\ten\ttrain\tconllu\ten.train\t", "pos\ten\ttest\tconllu\ten.test\t",
                                "pos\ttr\ttest\tconllu\ten.test\t"});
  prepare(test::options_of(folder));
  const Corpus corpus = Corpus::open(folder.path("corpus"));
  const std::vector<Pair> trained = {{"pos", "en"}};
  EXPECT_EQ(majority_baseline(corpus, {"pos", "en"}, "test", 2, trained), 0.25);
  EXPECT_EQ(majority_baseline(corpus, {"pos", "tr"}, "test", 2, trained), 0.25);  // from what was trained
  EXPECT_EQ(majority_baseline(corpus, {"pos", "tr"}, "test", 1, trained), 1.0);
  EXPECT_EQ(majority_baseline(corpus, {"pos", "tr"}, "test", 2, {}), std::nullopt);
}

TEST_F(CorpusTest, IndexSentAsTextIsTheSameCorpus) {
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const Corpus sent = Corpus::from_index(folder_.path("corpus"), corpus.index_text());
  EXPECT_EQ(sent.digest(), corpus.digest());
  EXPECT_EQ(sent.pairs(), corpus.pairs());
  EXPECT_EQ(CorpusIndex::from_json(corpus.index_text(), "x").to_json(), corpus.index_text());
}

TEST_F(CorpusTest, OpeningReadsTheIndexAlone) {
  std::filesystem::remove(corpus_path("mlm.aa.h5"));
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  EXPECT_EQ(corpus.split({"pos", "aa"}, "train").sentences(), 30);
  expect_refused("mlm.aa.h5", ExitCode::kNoInput);
}

TEST_F(CorpusTest, TheFilesAreOrdinaryHdf5) {
  const h5::File file = h5::File::open(corpus_path("pos.aa.h5"));
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const Split& split = corpus.split({"pos", "aa"}, "train");
  std::vector<int32_t> ids(split.token_ids.size());
  file.read("train/token_ids", h5::Type::kInt32, ids.data());
  EXPECT_TRUE(std::ranges::equal(ids, split.token_ids));
  for (const h5::DatasetInfo& set : file.datasets()) {
    if (set.element_count() == 0) continue;
    EXPECT_EQ(set.file_offset % 64, 0) << set.name;
  }
}

// Corpora of 0.1.0 have labels of 16 bits.
TEST_F(CorpusTest, NarrowLabelsAreRead) {
  const auto labels = [&] {
    const Corpus corpus = Corpus::open(folder_.path("corpus"));
    corpus.verify({"pos", "aa"});
    const auto found = corpus.split({"pos", "aa"}, "train").labels;
    return std::vector<LabelId>(found.begin(), found.end());
  };
  const std::vector<LabelId> expected = labels();
  ASSERT_FALSE(expected.empty());
  make_older();
  const std::string path = corpus_path("pos.aa.h5");
  auto index = nlohmann::json::parse(read_file(corpus_path("index.json")));
  nlohmann::json& entry = index["pairs"][0];
  ASSERT_EQ(entry["file"], "pos.aa.h5");
  {
    const h5::File wide = h5::File::open(path);
    h5::File narrow = h5::File::create(path + ".new");
    for (nlohmann::json& split : entry["splits"])
      for (nlohmann::json& dataset : split["datasets"]) {
        const h5::DatasetInfo info = wide.info(dataset["name"]);
        std::string bytes(static_cast<size_t>(info.byte_count()), '\0');
        wide.read(info.name, info.type, bytes.data());
        if (!info.name.ends_with("/labels")) {
          narrow.write(info.name, info.type, info.shape, bytes.data());
          continue;
        }
        std::vector<int16_t> values;
        for (int64_t i = 0; i < info.element_count(); ++i)
          values.push_back(static_cast<int16_t>(reinterpret_cast<const LabelId*>(bytes.data())[i]));
        narrow.write(info.name, h5::Type::kInt16, info.shape, values.data());
        dataset["type"] = "int16";
        dataset["xxh128"] = xxh128_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int16_t)});
      }
    narrow.close();
  }
  std::filesystem::rename(path + ".new", path);
  const h5::File closed = h5::File::open(path);
  for (nlohmann::json& split : entry["splits"])
    for (nlohmann::json& dataset : split["datasets"]) dataset["offset"] = closed.info(dataset["name"]).file_offset;
  entry["bytes"] = std::filesystem::file_size(path);
  folder_.write("corpus/index.json", index.dump());
  EXPECT_EQ(labels(), expected);
}

TEST_F(CorpusTest, RefusesADamagedFile) {
  const std::string path = corpus_path("pos.aa.h5");
  const std::string whole = read_file(path);
  const int64_t ids_at = Corpus::open(folder_.path("corpus")).entry({"pos", "aa"}).splits[0].datasets[0].offset;
  write_file_atomically(path, whole.substr(0, whole.size() / 2));
  expect_refused("bytes, expected");
  write_file_atomically(path, "");
  expect_refused("bytes, expected");
  std::string text = whole;
  text[1] = 'X';
  write_file_atomically(path, text);
  expect_refused("not an HDF5 file");
  text = whole;
  text[static_cast<size_t>(ids_at)] ^= 1;
  write_file_atomically(path, text);
  expect_refused("XXH128 of array train/token_ids");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  expect_refused("pos.aa.h5", ExitCode::kNoInput);
}

TEST_F(CorpusTest, RefusesAnIndexThatDoesNotFit) {
  const std::string whole = read_file(corpus_path("index.json"));
  const auto dataset = [](nlohmann::ordered_json& json, int d) -> nlohmann::ordered_json& {
    return json["pairs"][0]["splits"][0]["datasets"][static_cast<size_t>(d)];
  };
  const std::vector<std::pair<std::function<void(nlohmann::ordered_json&)>, std::string>> edits = {
      {[](auto& json) { json["format_version"] = 1; }, "format version 1"},
      {[](auto& json) { json["format"] = "other"; }, "no hyperx corpus"},
      {[](auto& json) { json.erase("labels"); }, "labels"},
      {[](auto& json) { json["pairs"][0]["bytes"] = "many"; }, "bytes"},
      {[](auto& json) { json["pairs"][0]["file"] = "../../etc/passwd"; }, "file name"},
      {[](auto& json) { json["pairs"][0]["file"] = ".."; }, "file name"},
      {[](auto& json) { json["pairs"][0]["file"] = nullptr; }, "file is null, not a text"},
      {[](auto& json) { json["pairs"][0]["language"] = "a/b"; }, "not a pair"},
      {[](auto& json) { json["pairs"][0]["splits"] = "x"; }, "splits is \"x\", not a list"},
      {[](auto& json) { json["pairs"][0]["splits"].push_back(json["pairs"][0]["splits"][0]); }, "twice"},
      {[](auto& json) { json["pairs"][0]["splits"][0]["limited"] = 0; }, "limited is 0, not true or false"},
      {[](auto& json) { json["pairs"][0]["splits"][0]["overlap_with"] = 7; }, "overlap_with is 7, not an object"},
      {[](auto& json) { json["pairs"] = nlohmann::json::object(); }, "pairs is {}, not a list"},
      {[](auto& json) { json["labels"]["pos"] = "X"; }, "labels.pos is \"X\", not a list"},
      {[](auto& json) { json["labels"]["pos"].push_back("X"); }, "has the label 'X' twice"},
      {[](auto& json) { json["labels"]["pos"].push_back(""); }, "labels, none empty"},
      {[](auto& json) { json["labels"]["pos"] = nlohmann::json::array(); }, "labels, none empty"},
      {[](auto& json) { json["blank_id"] = "x"; }, "blank_id is \"x\", not a whole number"},
      {[](auto& json) { json["overlap"] = nullptr; }, "overlap is null, not a text"},
      {[](auto& json) { json["summaries"]["../x"] = "0"; }, "no file name"},
      {[](auto& json) { json.erase("index_xxh128"); }, "no digest of itself"},
      {[](auto& json) { json["pairs"].push_back(json["pairs"][0]); }, "twice"},
      {[](auto& json) { json["mask_id"] = 100000; }, "vocabulary"},
      {[&](auto& json) { dataset(json, 0)["offset"] = 1000000000; }, "lies outside"},
      {[&](auto& json) { dataset(json, 0)["offset"] = -1; }, "lies outside"},
      {[&](auto& json) { dataset(json, 0)["offset"] = 3; }, "lies outside"},
      {[&](auto& json) { dataset(json, 0)["count"] = 9223372036854775807; }, "lies outside"},
      {[&](auto& json) { dataset(json, 0)["count"] = 18446744073709551615U; }, "too large"},
      {[&](auto& json) { dataset(json, 0)["count"] = -5; }, "-5"},
      {[&](auto& json) { dataset(json, 0)["type"] = "int64"; }, "int64"},
      {[&](auto& json) { dataset(json, 0)["type"] = "float"; }, "float"},
      {[&](auto& json) { dataset(json, 0)["name"] = "train/other"; }, "train/other"},
      {[&](auto& json) { json["pairs"][0]["splits"][0]["counts"]["sentences"] = 31; }, "out of order"},
      {[&](auto& json) { dataset(json, 1)["offset"] = dataset(json, 0)["offset"]; }, "sentence_starts"},
  };
  for (const auto& [edit, words] : edits) {
    edit_index(edit);
    expect_refused(words);
    write_file_atomically(corpus_path("index.json"), whole);
  }
  write_file_atomically(corpus_path("index.json"), whole.substr(0, whole.size() - 10));
  expect_refused("index.json");
  std::filesystem::remove(corpus_path("index.json"));
  expect_refused("index.json", ExitCode::kNoInput);
}

// Before the digests are compared, too.
TEST_F(CorpusTest, SentencesOutOfOrderAreRefusedWhereTheyAreUsed) {
  const std::string path = corpus_path("pos.aa.h5");
  const std::string whole = read_file(path);
  const Corpus undamaged = Corpus::open(folder_.path("corpus"));
  const auto& datasets = undamaged.entry({"pos", "aa"}).splits[0].datasets;
  for (const size_t array : {1, 3}) {  // sentence_starts, word_starts
    for (const int64_t wrong : {int64_t{-1}, int64_t{1} << 40, int64_t{1}}) {
      std::string text = whole;
      std::memcpy(text.data() + datasets[array].offset + 5 * sizeof(int64_t), &wrong, sizeof(wrong));
      write_file_atomically(path, text);
      const Corpus corpus = Corpus::open(folder_.path("corpus"));
      const Split& split = corpus.split({"pos", "aa"}, "train");
      EXPECT_THROW((split.length(4), split.labels_of(4)), UserError) << wrong;
      EXPECT_THROW(corpus.verify_once({"pos", "aa"}, "train"), UserError);
    }
  }
}

// Every byte of every file is covered, also those that HDF5 and JSON would ignore.
TEST_F(CorpusTest, AnyDamagedByteIsFound) {
  RandomStream stream(5);
  for (const char* name : {"index.json", "pos.aa.h5", "mlm.aa.h5", "summary.tsv", "summary.json"}) {
    const std::string whole = read_file(corpus_path(name));
    const auto expect_found = [&](const std::string& text, const std::string& what) {
      std::ofstream(corpus_path(name), std::ios::binary) << text;
      const std::string error = hyperx::test::user_error([&] { use(folder_.path("corpus")); });
      EXPECT_THAT(error, testing::AllOf(testing::StartsWith("65 "), testing::HasSubstr(name))) << what;
    };
    for (int trial = 0; trial < 200; ++trial) {
      std::string text = whole;
      const size_t place = stream.below(text.size());
      text[place] = static_cast<char>(static_cast<uint64_t>(text[place]) + 1 + stream.below(255));
      expect_found(text, "byte " + std::to_string(place));
    }
    expect_found(whole + std::string(100, '\0'), "zeros at the end");
    expect_found(whole + " ", "a space at the end");
    expect_found(whole.substr(0, whole.size() - 1), "cut short");
    std::ofstream(corpus_path(name), std::ios::binary) << whole;
  }
  use(folder_.path("corpus"));
}

TEST_F(CorpusTest, OlderCorporaAreReadWithTheDigestsThatTheyHave) {
  make_older();
  use(folder_.path("corpus"));
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const int64_t ids_at = corpus.entry({"pos", "aa"}).splits[0].datasets[0].offset;
  std::string text = read_file(corpus_path("pos.aa.h5"));
  text[static_cast<size_t>(ids_at)] ^= 1;
  write_file_atomically(corpus_path("pos.aa.h5"), text);
  EXPECT_THROW(corpus.verify_once({"pos", "aa"}, "train"), UserError);
  corpus.verify_once({"pos", "aa"}, "dev");
  expect_refused("XXH128 of array train/token_ids");
}

// A byte between the arrays, which only HDF5 would read.
TEST_F(CorpusTest, TrainingRefusesWhatVerifyRefuses) {
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  std::string text = read_file(corpus_path("pos.aa.h5"));
  text[100] ^= 1;
  write_file_atomically(corpus_path("pos.aa.h5"), text);
  for (const auto& compare : {std::function<void()>([&] {
                                corpus.verify({"pos", "aa"});
                              }),
                              std::function<void()>([&] {
                                corpus.verify_once({"pos", "aa"}, "train");
                              })})
    EXPECT_THAT(hyperx::test::message_of(ExitCode::kBadData, compare),
                testing::HasSubstr("pos.aa.h5: bytes outside its arrays were changed"));
}

TEST_F(CorpusTest, SaysWhatThereIs) {
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  EXPECT_EQ(corpus.pairs(), (std::vector<Pair>{{"pos", "aa"}, {"mlm", "aa"}}));
  EXPECT_EQ(corpus.pairs_with("dev"), (std::vector<Pair>{{"pos", "aa"}}));
  EXPECT_FALSE(corpus.has({"pos", "aa"}, "test"));
  EXPECT_THAT(hyperx::test::user_error([&] { corpus.split({"pos", "aa"}, "test"); }), testing::HasSubstr("train dev"));
}

}  // namespace
}  // namespace hyperx::data
