#include "data/tasks/result_file.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/files.h"
#include "common/version.h"

namespace hyperx::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 2;
constexpr char kTypes[] = "types";  // next to the values in the file

Json json_number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double number_of(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

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

MetricSet metrics_of(const Json& json) {
  MetricSet metrics;
  for (const auto& [name, value] : json.items())
    if (name != kTypes) metrics.values[name] = number_of(value);
  for (const auto& [type, score] : json.at(kTypes).items())
    metrics.types[type] = {score.at("precision").get<double>(), score.at("recall").get<double>(),
                           score.at("f1").get<double>(), score.at("support").get<int64_t>()};
  return metrics;
}

EvaluationResult result_of(const Json& json, const std::string& origin) {
  const int version = json.at("format_version").get<int>();
  if (version != kFormatVersion)
    throw UserError(ExitCode::kBadData, origin + ": a result file of format " + std::to_string(version) +
                                            ", this hyperx reads " + std::to_string(kFormatVersion) +
                                            ": evaluate again");
  EvaluationResult result;
  result.pair = parse_pair(json.at("pair").get<std::string>());
  result.split = json.at("split").get<std::string>();
  result.main_metric = json.at("main_metric").get<std::string>();
  result.metrics = metrics_of(json.at("metrics"));
  if (!json.at("novel").is_null()) result.novel = metrics_of(json.at("novel"));
  result.novel_sentences = json.at("novel_sentences").get<int64_t>();
  if (!json.at("baseline").is_null()) result.baseline = json.at("baseline").get<double>();
  result.trained = json.at("trained").get<bool>();
  result.sentences = json.at("sentences").get<int64_t>();
  result.words = json.at("words").get<int64_t>();
  result.words_scored = json.at("words_scored").get<int64_t>();
  result.unlabelled_words = json.at("unlabelled_words").get<int64_t>();
  result.truncated_words = json.at("truncated_words").get<int64_t>();
  result.checkpoint_xxh128 = json.at("checkpoint_xxh128").get<std::string>();
  result.corpus_xxh128 = json.at("corpus_xxh128").get<std::string>();
  result.signature = json.at("signature").get<std::string>();
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
  try {
    return result_of(Json::parse(text), origin);
  } catch (const Json::exception& error) {
    throw UserError(ExitCode::kBadData, origin + ": no result file of hyperx (" + error.what() + "): evaluate again");
  }
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
