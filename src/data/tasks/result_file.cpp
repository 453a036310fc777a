#include "data/tasks/result_file.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/version.h"

namespace hyperx::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 2;
constexpr char kTypes[] = "types";  // next to the values in the file

Json json_number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json json_of(const MetricSet& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics.values) json[name] = json_number(value);
  Json types = Json::object();
  for (const auto& [type, score] : metrics.types)
    types[type] = {
        {"precision", score.precision}, {"recall", score.recall}, {"f1", score.f1}, {"support", score.support}};
  json[kTypes] = types;
  return json;
}

MetricSet metrics_of(const JsonValue& object) {
  MetricSet metrics;
  for (const auto& [name, value] : object.fields())
    if (name != kTypes)
      metrics.values[name] = value.raw().is_null() ? std::numeric_limits<double>::quiet_NaN() : value.number();
  for (const auto& [type, score] : object[kTypes].fields())
    metrics.types[type] = {score["precision"].number(), score["recall"].number(), score["f1"].number(),
                           score["support"].integer(0)};
  return metrics;
}

EvaluationResult result_of(const JsonValue& root, const std::string& origin) {
  const int64_t version = root["format_version"].integer();
  if (version != kFormatVersion)
    throw UserError(ExitCode::kBadData, origin + ": a result file of format " + std::to_string(version) +
                                            ", this hyperx reads " + std::to_string(kFormatVersion) +
                                            ": evaluate again");
  EvaluationResult result;
  result.pair = parse_pair(root["pair"].text());
  result.split = root["split"].text();
  result.main_metric = root["main_metric"].text();
  result.metrics = metrics_of(root["metrics"]);
  if (root.has("novel")) result.novel = metrics_of(root["novel"]);
  result.novel_sentences = root["novel_sentences"].integer(0);
  if (root.has("baseline")) result.baseline = root["baseline"].number();
  result.trained = root["trained"].flag();
  result.sentences = root["sentences"].integer(0);
  result.words = root["words"].integer(0);
  result.words_scored = root["words_scored"].integer(0);
  result.unlabelled_words = root["unlabelled_words"].integer(0);
  result.truncated_words = root["truncated_words"].integer(0);
  result.checkpoint_xxh128 = root["checkpoint_xxh128"].text();
  result.corpus_xxh128 = root["corpus_xxh128"].text();
  result.signature = root["signature"].text();
  return result;
}

}  // namespace

double EvaluationResult::main_value() const {
  const auto found = metrics.values.find(main_metric);
  return found == metrics.values.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

std::string signature_line(const Pair& pair, const std::string& split, const std::string& source, int64_t sentences,
                           int64_t words, const std::string& scorer) {
  std::string clean = source.empty() ? "unknown" : source;
  for (char& c : clean)
    if (c == '|' || static_cast<unsigned char>(c) < 0x20) c = ' ';
  return pair.name() + "|" + split + "|source=" + clean + "|n=" + std::to_string(sentences) + "/" +
         std::to_string(words) + "|" + scorer + "|hyperx " + std::string(version());
}

std::string result_path(const std::string& folder, const Pair& pair) {
  return folder + "/" + pair.file_name() + ".json";
}

std::string predictions_path(const std::string& folder, const Pair& pair) {
  return folder + "/" + pair.file_name() + ".tsv";
}

std::string result_to_json(const EvaluationResult& result) {
  const Json json = {{"format_version", kFormatVersion},
                     {"pair", result.pair.name()},
                     {"split", result.split},
                     {"main_metric", result.main_metric},
                     {"metrics", json_of(result.metrics)},
                     {"novel", result.novel ? json_of(*result.novel) : Json(nullptr)},
                     {"novel_sentences", result.novel_sentences},
                     {"baseline", result.baseline ? json_number(*result.baseline) : Json(nullptr)},
                     {"trained", result.trained},
                     {"sentences", result.sentences},
                     {"words", result.words},
                     {"words_scored", result.words_scored},
                     {"unlabelled_words", result.unlabelled_words},
                     {"truncated_words", result.truncated_words},
                     {"checkpoint_xxh128", result.checkpoint_xxh128},
                     {"corpus_xxh128", result.corpus_xxh128},
                     {"signature", result.signature}};
  return json.dump(2) + "\n";
}

EvaluationResult result_from_json(const std::string& text, const std::string& origin) {
  const nlohmann::json object = parse_json(text, origin, "evaluate again");
  return result_of(JsonValue(origin, object), origin);
}

void write_result(const std::string& folder, const EvaluationResult& result, const std::string& predictions) {
  const std::string score = result_path(folder, result.pair), beside = predictions_path(folder, result.pair);
  std::error_code error;
  // A score without predictions is complete. Predictions with another one's score are not: an older score goes first.
  const std::string older = predictions.empty() ? beside : score;
  if (!std::filesystem::remove(older, error) && error)
    throw SystemError(older + ": is of an older evaluation and cannot be removed: " + error.message());
  if (!predictions.empty()) write_file_atomically(beside, predictions);
  write_file_atomically(score, result_to_json(result));
}

EvaluationResult read_result(const std::string& path) { return result_from_json(read_file(path), path); }

}  // namespace hyperx::data
