#include <gmock/gmock.h>

#include <cstdlib>

#include "common/files.h"
#include "common/random.h"
#include "data/tasks/prediction_file.h"
#include "data/tasks/scoring.h"
#include "tests/data/tasks/known_task.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/data/test_data.h"
#include "tests/support/folder.h"

// The scorer of hyperx against seqeval itself, on the files of examples/sample, their tags corrupted at random. Needs a
// Python with seqeval 1.2.2: tests/run makes one and names it in HYPERX_TEST_PYTHON.
namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;

using nlohmann::json;

constexpr double kTolerance = 1e-12;
constexpr size_t kSentences = 400;  // of each file

void expect_same(const json& ours, const json& theirs, const std::string& what) {
  for (const char* name : {"precision", "recall", "f1", "support"})
    EXPECT_NEAR(ours.at(name).get<double>(), theirs.at(name).get<double>(), kTolerance) << what << " " << name;
}

void expect_same_report(const json& ours, const json& theirs, const std::string& what) {
  for (const char* mean : {"micro", "macro", "weighted"})
    expect_same(ours.at(mean), theirs.at(mean), what + " " + mean);
  ASSERT_EQ(ours.at("types").size(), theirs.at("types").size()) << what;
  for (const auto& [type, score] : theirs.at("types").items())
    expect_same(ours.at("types").at(type), score, what + " " + type);
}

// Two files of the first sentences of `source`: as they are, and with a share of the tags replaced by another of the
// file's.
struct CorruptedFile {
  SourceSpec gold, predicted;
};

CorruptedFile corrupt(const TemporaryFolder& folder, const std::string& source, double share, uint64_t seed) {
  CorruptedFile files;
  files.gold.path = source;
  files.gold.format = source.ends_with(".conllu") ? SourceFormat::kConllu : SourceFormat::kTagged;
  TaggingChunk chunk;
  PredictionInput(files.gold).next(chunk, kSentences);
  Tags inventory;
  for (const auto& sentence : chunk.tags) inventory.insert(inventory.end(), sentence.begin(), sentence.end());
  const std::string name = std::to_string(seed);
  files.gold.path = folder.write(name + ".gold", chunk.with_tags(chunk.tags));
  RandomStream random(seed);
  auto tags = chunk.tags;
  for (auto& sentence : tags)
    for (auto& tag : sentence)
      if (random.uniform() < share) tag = inventory[random.below(inventory.size())];
  files.predicted = files.gold;
  files.predicted.path = folder.write(name + ".predicted", chunk.with_tags(tags));
  return files;
}

void compare_with_seqeval(const std::string& task, const std::vector<std::string>& sources) {
  const char* const python = std::getenv("HYPERX_TEST_PYTHON");
  if (python == nullptr)
    GTEST_SKIP() << "HYPERX_TEST_PYTHON is not set: a Python with seqeval 1.2.2 (tests/run makes one)";
  const TemporaryFolder folder;
  std::vector<CorruptedFile> files;
  for (const std::string& source : sources)
    for (const double share : {0.02, 0.3, 1.0})
      files.push_back(corrupt(folder, test::kSampleData + source, share, files.size()));
  std::string command = "'" + std::string(python) + "' '" + HYPERX_SOURCE_DIR + "/tests/tools/score_with_seqeval.py' " +
                        task + (files[0].gold.format == SourceFormat::kConllu ? " --format conllu" : "");
  for (const CorruptedFile& file : files) command += " '" + file.gold.path + "' '" + file.predicted.path + "'";
  command += " > '" + folder.path("answer.json") + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const json answers = json::parse(read_file(folder.path("answer.json")));
  ASSERT_EQ(answers.size(), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string what = sources[i / 3] + ", corruption " + std::to_string(i % 3);
    const json ours = json::parse(scores_json(score_files(files[i].gold, files[i].predicted, known_task(task))));
    EXPECT_EQ(ours.at("sentences"), answers[i].at("sentences")) << what;
    EXPECT_EQ(ours.at("words"), answers[i].at("words")) << what;
    EXPECT_NEAR(ours.at("accuracy").get<double>(), answers[i].at("accuracy").get<double>(), kTolerance) << what;
    if (task == "ner") {
      expect_same_report(ours.at("default"), answers[i].at("default"), what + " default");
      expect_same_report(ours.at("strict"), answers[i].at("strict"), what + " strict");
    } else {
      expect_same(ours.at("seqeval"), answers[i].at("default").at("micro"), what);
    }
  }
}

TEST(SeqevalProgram, AgreesOnEntities) {
  compare_with_seqeval("ner", {"ner.en.test.tsv", "ner.tr.dev.tsv", "ner.zh.dev.tsv", "ner.kk.test.tsv"});
}

TEST(SeqevalProgram, AgreesOnPartsOfSpeech) {
  compare_with_seqeval("pos", {"pos.en.dev.conllu", "pos.mt.test.conllu", "pos.kk.test.conllu", "pos.zh.test.conllu"});
}

}  // namespace
}  // namespace hyperx::data
