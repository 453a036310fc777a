// evaluate, predict and score agree with each other, with the files, and with an independent scorer.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "common/files.h"
#include "common/text_table.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr int kSteps = 20;  // at a low rate: a model that still guesses gives every tag somewhere

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> columns_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> columns;
  for (std::string column; std::getline(stream, column, '\t');) columns.push_back(column);
  return columns;
}

bool is_word_line(const std::string& line, bool conllu) {
  if (line.empty()) return false;
  return !conllu || line.substr(0, line.find('\t')).find_first_not_of("0123456789") == std::string::npos;
}

int64_t words_in(const std::string& file, bool conllu) {
  int64_t count = 0;
  for (const std::string& line : lines_of(read_file(file))) count += is_word_line(line, conllu) ? 1 : 0;
  return count;
}

class EvaluateTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    train(0, "run",
          {{"train.steps", std::to_string(kSteps)},
           {"train.learning_rate", "1e-4"},
           {"train.pairs", "pos:en,pos:mt,ner:en,ner:zh,mlm:en,mlm:is"}});
  }

  Outcome evaluate(int ranks, const Arguments& more = {}) const {
    Arguments line = {"evaluate", path("run"), "--eval.split", "test", "--train.precision", "fp32", "--threads", "1"};
    line.insert(line.end(), more.begin(), more.end());
    return run(ranks, line);
  }

  // File name (pos.en.json) and content of every result.
  std::map<std::string, json> results() const {
    std::map<std::string, json> results;
    for (const auto& entry : fs::directory_iterator(results_folder()))
      if (entry.path().extension() == ".json") results[entry.path().filename()] = json::parse(read_file(entry.path()));
    return results;
  }
  std::string results_folder() const { return path("run") + "/results/step-00000" + std::to_string(kSteps) + "/test"; }

  Outcome predict(const std::string& task, const std::string& language, const std::string& file,
                  const std::string& output, const Arguments& more = {}) const {
    Arguments line = {"predict", path("run"),         "--task", task,        "--language", language, file, "--output",
                      output,    "--train.precision", "fp32",   "--threads", "1"};
    line.insert(line.end(), more.begin(), more.end());
    return run(0, line);
  }

  json score(const std::string& task, const std::string& gold, const std::string& predicted) const {
    const Outcome outcome = run(0, {"score", gold, predicted, "--task", task, "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.errors;
    return json::parse(outcome.output);
  }

  // The same two files read by seqeval; an empty object where no Python with it is named.
  json independent_score(const std::string& task, const std::string& gold, const std::string& predicted) const {
    const char* const python = std::getenv("HYPERX_TEST_PYTHON");
    if (python == nullptr) return {};
    const std::string format = task == "pos" ? "conllu" : "tagged";
    const std::string command = std::string(python) + " " + HYPERX_SOURCE_DIR + "/tests/tools/score_with_seqeval.py " +
                                task + " --format " + format + " " + gold + " " + predicted + " > " +
                                path("independent");
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return json::parse(read_file(path("independent"))).at(0);
  }
};

TEST_F(EvaluateTest, TheSameNumbersOnOneToFourRanks) {
  std::map<std::string, json> first;
  for (const int ranks : {0, 2, 3, 4}) {
    const Outcome outcome = evaluate(ranks, {"--force", "--eval.batch_tokens", "512"});
    ASSERT_EQ(outcome.code, 0) << outcome.errors;
    const std::map<std::string, json> found = results();
    if (first.empty()) first = found;
    EXPECT_EQ(first, found) << ranks << " ranks";
    // the table once, whatever the number of ranks
    EXPECT_THAT(outcome.output, HasSubstr("pos"));
    EXPECT_EQ(outcome.output.find("pos"), outcome.output.rfind("pos")) << outcome.output;
  }
  ASSERT_EQ(first.count("pos.en.json"), 1U);
  ASSERT_EQ(first.count("mlm.en.json"), 1U);
  EXPECT_GT(first["pos.en.json"]["metrics"]["accuracy"], 0.0);
  EXPECT_GT(first["ner.zh.json"]["metrics"]["f1"], 0.0);
}

TEST_F(EvaluateTest, EveryWordOfTheFileIsScored) {
  for (const Arguments& more : {Arguments{}, Arguments{"--data.max_subwords", "24", "--force"}}) {
    ASSERT_EQ(evaluate(2, more).code, 0);
    const std::map<std::string, json> found = results();
    for (const char* pair : {"pos.en", "pos.mt", "pos.is", "ner.en", "ner.zh"}) {
      const bool conllu = std::string(pair).starts_with("pos");
      const int64_t words = words_in(sample(std::string(pair) + ".test." + (conllu ? "conllu" : "tsv")), conllu);
      const json& result = found.at(std::string(pair) + ".json");
      EXPECT_EQ(result.at("words"), words) << pair;
      EXPECT_EQ(result.at("words_scored"), words) << pair;
      EXPECT_EQ(result.at("trained"), std::string(pair) != "pos.is") << pair;
      EXPECT_EQ(result.at("truncated_words").get<int64_t>() > 0, !more.empty()) << pair;
    }
  }
}

TEST_F(EvaluateTest, WhatIsScoredIsSkipped) {
  ASSERT_EQ(evaluate(2, {"--eval.pairs", "pos:en,ner:en"}).code, 0);
  const std::string file = results_folder() + "/pos.en.json";
  const auto written = fs::last_write_time(file);
  const Outcome again = evaluate(2, {"--eval.pairs", "pos:en,ner:en,pos:mt"});
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_THAT(again.errors, HasSubstr("pos:en test is scored already"));
  EXPECT_THAT(again.errors, HasSubstr("ner:en test is scored already"));
  EXPECT_EQ(again.errors.find("pos:mt test is scored already"), std::string::npos);
  EXPECT_EQ(fs::last_write_time(file), written);
  EXPECT_TRUE(fs::exists(results_folder() + "/pos.mt.json"));
}

TEST_F(EvaluateTest, ADamagedResultIsReplaced) {
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:en"}).code, 0);
  const std::string file = results_folder() + "/pos.en.json", whole = read_file(file);
  for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"),
                                  "{\"format_version\": 1" + whole.substr(21)}) {
    write_file_atomically(file, text);
    const Outcome outcome = evaluate(0, {"--eval.pairs", "pos:en"});
    EXPECT_EQ(outcome.code, 0) << outcome.errors;
    EXPECT_THAT(outcome.errors, HasSubstr(file));
    EXPECT_THAT(outcome.errors, HasSubstr("it is replaced"));
    EXPECT_EQ(read_file(file), whole);
  }
}

TEST_F(EvaluateTest, OtherKeysAreNotSkipped) {
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:en"}).code, 0);
  const Outcome cut = evaluate(0, {"--eval.pairs", "pos:en", "--data.max_subwords", "24"});
  ASSERT_EQ(cut.code, 0);
  EXPECT_GT(results().at("pos.en.json").at("truncated_words"), 0) << cut.errors;
}

TEST_F(EvaluateTest, PredictionsCountToTheAccuracy) {
  ASSERT_EQ(evaluate(2, {"--eval.pairs", "pos:en", "--eval.predictions", "yes"}).code, 0);
  int64_t words = 0, right = 0;
  std::set<std::string> tags;
  for (const std::string& line : lines_of(read_file(results_folder() + "/pos.en.tsv"))) {
    if (line.empty()) continue;
    const std::vector<std::string> columns = columns_of(line);
    ASSERT_EQ(columns.size(), 2U) << line;
    ++words;
    right += columns[0] == columns[1] ? 1 : 0;
    tags.insert(columns[1]);
  }
  EXPECT_GE(tags.size(), 8U) << "the predictions are too alike to tell an error";
  const json result = results().at("pos.en.json");
  EXPECT_EQ(words, result.at("words_scored"));
  EXPECT_DOUBLE_EQ(static_cast<double>(right) / static_cast<double>(words), result.at("metrics").at("accuracy"));
}

TEST_F(EvaluateTest, PredictionsBesideAResultAreItsOwn) {
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:mt,ner:en", "--eval.predictions", "yes"}).code, 0);
  const std::string predictions = results_folder() + "/pos.mt.tsv";
  const std::string written = read_file(predictions);
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:mt,ner:en"}).code, 0);
  EXPECT_EQ(read_file(predictions), written) << "the result was not written anew";
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:mt", "--data.max_subwords", "24"}).code, 0);
  EXPECT_FALSE(fs::exists(predictions)) << "they are those of an older score";
  EXPECT_TRUE(fs::exists(results_folder() + "/ner.en.tsv"));
}

TEST_F(EvaluateTest, APartOfASplitLeavesNoFile) {
  const Outcome part = evaluate(2, {"--eval.pairs", "pos:en", "--eval.limit", "5"});
  ASSERT_EQ(part.code, 0) << part.errors;
  EXPECT_THAT(part.output, HasSubstr("pos"));
  EXPECT_THAT(part.errors, HasSubstr("eval.limit = 5: no file is written to "));
  EXPECT_FALSE(fs::exists(results_folder()));

  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:en", "--eval.predictions", "yes"}).code, 0);
  const std::string result = read_file(results_folder() + "/pos.en.json");
  const std::string predictions = read_file(results_folder() + "/pos.en.tsv");
  ASSERT_EQ(evaluate(0, {"--eval.pairs", "pos:en", "--eval.limit", "5"}).code, 0);
  const Outcome refused = evaluate(2, {"--eval.pairs", "pos:en", "--eval.limit", "5", "--eval.predictions", "yes"});
  EXPECT_EQ(refused.code, 78) << refused.errors;
  EXPECT_THAT(refused.errors, HasSubstr("eval.predictions = yes with eval.limit = 5"));
  EXPECT_THAT(refused.errors, HasSubstr("Set eval.limit to 0"));
  EXPECT_EQ(read_file(results_folder() + "/pos.en.json"), result);
  EXPECT_EQ(read_file(results_folder() + "/pos.en.tsv"), predictions);
}

TEST_F(EvaluateTest, AnEncoderFolderOfAnotherVocabularyIsRefused) {
  const std::string other = path("other");
  fs::copy(encoder(), other);
  std::string vocabulary = read_file(other + "/vocab.txt");
  vocabulary.insert(vocabulary.size() - 1, "x");  // another last sub-word: as many as before, so the same weights
  write_file_atomically(other + "/vocab.txt", vocabulary);
  const Outcome outcome = evaluate(2, {"--eval.pairs", "pos:en", "--model.encoder", "random:" + other});
  EXPECT_EQ(outcome.code, 65) << outcome.errors;
  EXPECT_THAT(outcome.errors, HasSubstr(other + ": its vocabulary is not the one the model was trained with"));
}

TEST_F(EvaluateTest, PredictTouchesOnlyTheTagColumn) {
  const std::string gold = sample("pos.mt.test.conllu"), output = path("tagged.conllu");
  for (const Arguments& more : {Arguments{}, Arguments{"--data.max_subwords", "24"}}) {
    const Outcome outcome = predict("pos", "mt", gold, output, more);
    ASSERT_EQ(outcome.code, 0) << outcome.errors;
    const std::vector<std::string> before = lines_of(read_file(gold)), after = lines_of(read_file(output));
    ASSERT_EQ(before.size(), after.size());
    int64_t changed = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i] == after[i]) continue;
      ++changed;
      std::vector<std::string> a = columns_of(before[i]), b = columns_of(after[i]);
      ASSERT_TRUE(is_word_line(before[i], true)) << before[i];
      a.at(3) = b.at(3) = "";
      EXPECT_EQ(a, b);
    }
    EXPECT_GT(changed, 0);
    Arguments evaluation = {"--eval.pairs", "pos:mt", "--force"};
    evaluation.insert(evaluation.end(), more.begin(), more.end());
    ASSERT_EQ(evaluate(0, evaluation).code, 0);
    const json result = results().at("pos.mt.json"), scored = score("pos", gold, output);
    EXPECT_EQ(scored.at("words"), result.at("words_scored"));
    EXPECT_EQ(scored.at("accuracy"), result.at("metrics").at("accuracy"));
    EXPECT_EQ(scored.at("words_without_prediction"),
              result.at("truncated_words").get<int64_t>() + result.at("unlabelled_words").get<int64_t>());
    const json independent = independent_score("pos", gold, output);
    if (!independent.is_null()) {
      EXPECT_EQ(independent.at("accuracy"), result.at("metrics").at("accuracy"));
    }
    std::printf("pos:mt accuracy %.4f by evaluate, score%s; %d lines changed\n",
                result.at("metrics").at("accuracy").get<double>(), independent.is_null() ? "" : " and Python",
                static_cast<int>(changed));
  }
}

TEST_F(EvaluateTest, EntitiesOfTaggedLines) {
  for (const char* language : {"en", "zh"}) {
    const std::string gold = sample(std::string("ner.") + language + ".test.tsv"), output = path("tagged.tsv");
    ASSERT_EQ(predict("ner", language, gold, output).code, 0);
    ASSERT_EQ(words_in(gold, false), words_in(output, false));
    ASSERT_EQ(evaluate(2, {"--eval.pairs", std::string("ner:") + language}).code, 0);
    const json metrics = results().at(std::string("ner.") + language + ".json").at("metrics");
    const json scored = score("ner", gold, output);
    EXPECT_EQ(scored.at("accuracy"), metrics.at("accuracy"));
    EXPECT_EQ(scored.at("default").at("micro").at("f1"), metrics.at("f1"));
    const json independent = independent_score("ner", gold, output);
    if (!independent.is_null()) {
      EXPECT_NEAR(independent.at("default").at("micro").at("f1").get<double>(), metrics.at("f1").get<double>(), 1e-12);
      EXPECT_NEAR(independent.at("accuracy").get<double>(), metrics.at("accuracy").get<double>(), 1e-12);
    }
    std::printf("ner:%s F1 %.4f by evaluate, score%s\n", language, metrics.at("f1").get<double>(),
                independent.is_null() ? "" : " and Python");
  }
}

TEST_F(EvaluateTest, PlainTextGivesAWordALine) {
  write_file_atomically(path("lines.txt"), "Hello there, world.\n\n我爱北京\n");
  const Outcome outcome = predict("pos", "en", path("lines.txt"), path("words.tsv"));
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  std::vector<std::string> words;
  for (const std::string& line : lines_of(read_file(path("words.tsv")))) {
    if (line.empty()) continue;
    const std::vector<std::string> columns = columns_of(line);
    ASSERT_EQ(columns.size(), 2U) << line;
    EXPECT_FALSE(columns[1].empty());
    words.push_back(columns[0]);
  }
  EXPECT_THAT(words, testing::ElementsAre("Hello", "there", ",", "world", ".", "我", "爱", "北", "京"));
}

TEST_F(EvaluateTest, StatusShowsTheScoresOfTheLastEvaluation) {
  const Options options = {
      {"train.steps", "4"}, {"eval.every", "2"}, {"eval.limit", "40"}, {"eval.pairs", "pos:en,pos:mt,ner:en"}};
  train(0, "scored", options);
  double sum = 0;
  int64_t lines = 0;
  for (const json& event : history("scored")) {
    if (event.at("event") != "evaluation" || event.at("step") != 4) continue;
    ++lines;
    if (event.at("main_metric") == "accuracy") sum += event.at("metrics").at("accuracy").get<double>();
  }
  EXPECT_EQ(lines, 3);
  const Outcome status = run(0, {"status", path("scored")});
  ASSERT_EQ(status.code, 0) << status.errors;
  EXPECT_THAT(status.output, HasSubstr("accuracy " + number_text(sum / 2) + " (2 pairs), ner:en f1 "));
  EXPECT_THAT(status.output, HasSubstr(" @4 "));
  std::printf("%s", status.output.c_str());
}

TEST_F(EvaluateTest, TheWholeCommandLineIsKept) {
  const json start = json::parse(read_file(path("run") + "/environment.json")).at(0);
  EXPECT_EQ(start.at("resolved"),
            json({{"precision", "fp32"}, {"device", "cpu"}, {"backend", "local"}, {"exchange", "factors"}}));
  json kept = start.at("command_line");
  EXPECT_EQ(kept.at(0), "hyperx");
  kept.erase(0);
  const std::map<std::string, std::string> options = {{"train.steps", std::to_string(kSteps)},
                                                      {"train.learning_rate", "1e-4"},
                                                      {"train.pairs", "pos:en,pos:mt,ner:en,ner:zh,mlm:en,mlm:is"}};
  EXPECT_EQ(kept, json(train_line("run", options)));
}

TEST_F(EvaluateTest, EstimateCountsThePairsThatAreEvaluated) {
  const auto run_seconds = [&](const std::string& pairs) {
    const Outcome outcome =
        run(0, {"estimate", "--model.encoder", "random:" + encoder(), "--data.corpus", corpus(), "--gpu", "h100",
                "--ranks", "1", "--train.pairs", "pos:en,pos:mt,ner:en", "--eval.every", "1", "--eval.split", "test",
                "--eval.pairs", pairs, "--json", path("estimate.json")});
    EXPECT_EQ(outcome.code, 0) << outcome.errors;
    return json::parse(read_file(path("estimate.json"))).at("rows").at(0).at("run_seconds").get<double>();
  };
  const double one = run_seconds("pos:en"), two = run_seconds("pos:en,ner:en"), all = run_seconds("");
  EXPECT_LT(one, two);
  EXPECT_LT(two, all);
  EXPECT_EQ(all, run_seconds("*:*"));
}

TEST_F(EvaluateTest, UnknownTaskAndLanguageAreRefused) {
  const std::string file = sample("pos.mt.test.conllu");
  for (const auto& [task, language] : {std::pair{"dep", "mt"}, {"mlm", "en"}, {"pos", "yo"}}) {
    const Outcome outcome = predict(task, language, file, path("none.conllu"));
    EXPECT_EQ(outcome.code, 78) << task << ":" << language << " " << outcome.errors;
    EXPECT_LE(line_count(outcome.errors), 2U) << outcome.errors;
    EXPECT_THAT(outcome.errors, HasSubstr(std::string(language) == "yo" ? "yo" : task));
    std::printf("%s", outcome.errors.c_str());
  }
}

}  // namespace
}  // namespace hyperx::testing_system
