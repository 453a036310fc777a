#include "data/tasks/result_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "common/files.h"
#include "common/version.h"
#include "data/tasks/result_table.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

EvaluationResult some_result(const std::string& task, const std::string& language, double value, bool trained = false) {
  EvaluationResult result;
  result.pair = {task, language};
  result.split = "test";
  result.main_metric = task == "ner" ? "f1" : "accuracy";
  result.metrics.values = {{result.main_metric, value}, {"precision", 1.0 / 3}};
  result.metrics.types = {{"PER", {0.1, 0.2, 0.3, 17}}};
  result.trained = trained;
  result.sentences = 1100;
  result.words = 10032;
  result.words_scored = 10032;
  result.unlabelled_words = 3;
  result.truncated_words = 2;
  result.checkpoint_xxh128 = std::string(32, 'a');
  result.corpus_xxh128 = std::string(32, 'b');
  result.signature =
      signature_line(result.pair, result.split, "UD_Turkish-IMST@bcd48daa9957", 1100, 10032, result.main_metric);
  return result;
}

TEST(ResultFile, ComesBackAsItWas) {
  const TemporaryFolder folder;
  EvaluationResult result = some_result("pos", "tr", 0.6180339887498949, true);
  result.novel = MetricSet{{{"accuracy", 0.1}}, {}};
  result.novel_sentences = 1;
  result.baseline = 0.25;
  write_result(folder.path(""), result);
  EXPECT_EQ(read_result(folder.path("pos.tr.json")), result);
  const EvaluationResult plain = some_result("ner", "tr", 0.5);
  write_result(folder.path(""), plain);
  EXPECT_EQ(read_result(folder.path("ner.tr.json")), plain);
}

TEST(ResultFile, PredictionsBesideItAreItsOwn) {
  const TemporaryFolder folder;
  const EvaluationResult result = some_result("pos", "tr", 0.5);
  const std::string beside = predictions_path(folder.path(""), result.pair);
  const std::string of_another_pair = folder.write("pos.tr-x.tsv", "X\tX\n");
  write_result(folder.path(""), result, "NOUN\tVERB\n\n");
  EXPECT_EQ(read_file(folder.path("pos.tr.tsv")), "NOUN\tVERB\n\n");
  write_result(folder.path(""), result);
  EXPECT_FALSE(std::filesystem::exists(beside));
  EXPECT_TRUE(std::filesystem::exists(of_another_pair));
  EXPECT_EQ(read_result(folder.path("pos.tr.json")), result);
}

// It is killed, or the disk is full, between the two files.
TEST(ResultFile, NewPredictionsNeverLieBesideAnOldScore) {
  const TemporaryFolder folder;
  write_result(folder.path(""), some_result("pos", "tr", 0.5), "NOUN\tVERB\n\n");
  const std::string blocked = folder.path("pos.tr.json." + std::to_string(::getpid()) + ".tmp");
  std::filesystem::create_directory(blocked);
  EXPECT_THROW(write_result(folder.path(""), some_result("pos", "tr", 0.75), "NOUN\tNOUN\n\n"), SystemError);
  EXPECT_FALSE(std::filesystem::exists(folder.path("pos.tr.json")));
  std::filesystem::remove(blocked);
  write_result(folder.path(""), some_result("pos", "tr", 0.75), "NOUN\tNOUN\n\n");
  EXPECT_EQ(read_file(folder.path("pos.tr.tsv")), "NOUN\tNOUN\n\n");
  EXPECT_EQ(read_result(folder.path("pos.tr.json")).main_value(), 0.75);
}

TEST(ResultFile, HoldsWhatScriptsRelyOn) {
  const auto json = nlohmann::json::parse(result_to_json(some_result("ner", "tr", 0.5)));
  EXPECT_EQ(json["pair"], "ner:tr");
  EXPECT_DOUBLE_EQ(json["metrics"]["f1"], 0.5);
  EXPECT_DOUBLE_EQ(json["metrics"]["types"]["PER"]["recall"], 0.2);
  EXPECT_TRUE(json["novel"].is_null());
  EXPECT_EQ(json["words_scored"], 10032);
}

TEST(ResultFile, SignatureNamesWhatWasScored) {
  EXPECT_EQ(some_result("pos", "tr", 0.5).signature,
            "pos:tr|test|source=UD_Turkish-IMST@bcd48daa9957|n=1100/10032|accuracy|hyperx " + std::string(version()));
  EXPECT_THAT(signature_line({"ner", "mt"}, "dev", "a|b\nc", 1, 2, "f1"),
              StartsWith("ner:mt|dev|source=a b c|n=1/2|f1|"));
  EXPECT_THAT(signature_line({"ner", "mt"}, "dev", "", 1, 2, "f1"), HasSubstr("|source=unknown|"));
}

TEST(ResultFile, AValueThatIsNotFiniteIsNull) {
  EvaluationResult result = some_result("mlm", "tr", 0.5);
  result.metrics.values["perplexity"] = std::numeric_limits<double>::infinity();
  const std::string text = result_to_json(result);
  EXPECT_TRUE(nlohmann::json::parse(text)["metrics"]["perplexity"].is_null());
  EXPECT_TRUE(std::isnan(result_from_json(text, "x").metrics.values.at("perplexity")));
}

TEST(ResultFile, DamageIsAnErrorThatNamesTheFile) {
  const std::string text = result_to_json(some_result("pos", "tr", 0.5));
  const auto error_of = [](const std::string& damaged) {
    return user_error([&] { result_from_json(damaged, "pos.tr.json"); });
  };
  EXPECT_EQ(error_of(text), "");
  EXPECT_THAT(error_of(text.substr(0, text.size() / 2)), StartsWith("65 pos.tr.json: "));
  EXPECT_THAT(error_of("{}"), AllOf(StartsWith("65 pos.tr.json: "), HasSubstr("format_version")));
  auto json = nlohmann::json::parse(text);
  json["words"] = "many";
  EXPECT_THAT(error_of(json.dump()), StartsWith("65 pos.tr.json: "));
  json["format_version"] = 9;
  EXPECT_THAT(error_of(json.dump()), HasSubstr("format 9"));
}

TEST(ResultTable, NamesLanguagesAndGivesMeans) {
  EvaluationResult turkish = some_result("pos", "tr", 0.5, true);
  turkish.baseline = 0.25;
  const std::vector<EvaluationResult> results = {some_result("pos", "mt", 0.25), some_result("ner", "tr", 0.75),
                                                 turkish, some_result("pos", "kk", 0.7), some_result("pos", "xx", 0.9)};
  const std::string table = results_table(results, std::set<std::string>{"tr", "kk"});
  EXPECT_THAT(table, HasSubstr("Turkish (tr)"));
  EXPECT_THAT(table, HasSubstr("50.0* (25.0)"));
  EXPECT_THAT(table, testing::ContainsRegex("Maltese \\(mt\\) +- +25\\.0"));
  EXPECT_THAT(table, testing::ContainsRegex("mean, read +75\\.0  n=1 +60\\.0  n=2"));
  EXPECT_THAT(table, testing::ContainsRegex("mean, not read +57\\.5  n=2"));
  EXPECT_THAT(table, testing::ContainsRegex("mean, trained pairs +50\\.0  n=1"));
  EXPECT_THAT(table, testing::ContainsRegex("mean, never trained +75\\.0  n=1 +61\\.7  n=3"));
  EXPECT_THAT(table, testing::ContainsRegex(
                         "\nread by the encoder\n  Kazakh(.|\n)*\nnot read by the encoder\n  Maltese(.|\n)*  xx"));

  const std::string unknown = results_table(results, std::nullopt);
  EXPECT_THAT(unknown, HasSubstr("unknown whether the encoder has read them"));
  EXPECT_THAT(unknown, testing::Not(HasSubstr("mean, read")));
  EXPECT_THAT(unknown, HasSubstr("mean, trained pairs"));
}

}  // namespace
}  // namespace hyperx::data
