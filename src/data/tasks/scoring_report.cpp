#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/tasks/scoring.h"

namespace hyperx::data {
namespace {

constexpr double kPercent = 100;
constexpr size_t kLeastNameWidth = 8;

nlohmann::ordered_json json_of(const Score& score) {
  return {{"precision", score.precision}, {"recall", score.recall}, {"f1", score.f1}, {"support", score.support}};
}

nlohmann::ordered_json json_of(const EntityScores& scores) {
  nlohmann::ordered_json types = nlohmann::ordered_json::object();
  for (const auto& [type, score] : scores.types) types[type] = json_of(score);
  return {{"micro", json_of(scores.micro)},
          {"macro", json_of(scores.macro)},
          {"weighted", json_of(scores.weighted)},
          {"types", types}};
}

std::string score_row(const std::string& name, size_t width, const Score& score) {
  return fmt::format("{:<{}}  {:9.2f}  {:6.2f}  {:6.2f}  {:8}\n", name, width, kPercent * score.precision,
                     kPercent * score.recall, kPercent * score.f1, score.support);
}

std::string heading(const std::string& name, size_t width) {
  return fmt::format("{:<{}}  precision  recall      F1      gold\n", name, width);
}

std::string entity_table(const std::string& title, const EntityScores& scores) {
  size_t width = std::max(title.size(), kLeastNameWidth);
  for (const auto& [type, score] : scores.types) width = std::max(width, type.size());
  std::string table = heading(title, width);
  for (const auto& [type, score] : scores.types) table += score_row(type, width, score);
  return table + score_row("micro", width, scores.micro) + score_row("macro", width, scores.macro) +
         score_row("weighted", width, scores.weighted);
}

}  // namespace

std::string scores_table(const FileScores& scores) {
  std::string table = fmt::format("gold       {}\npredicted  {}\n{}: {} sentences, {} words, {} without a prediction\n",
                                  scores.gold_path, scores.predicted_path, scores.task, scores.sentences, scores.words,
                                  scores.without_prediction);
  if (scores.attachment)
    table += fmt::format("UAS        {:.2f}\nLAS        {:.2f} ({} of {})\n\n", kPercent * scores.attachment->uas,
                         kPercent * scores.attachment->las, scores.correct, scores.words);
  else
    table += fmt::format("accuracy   {:.2f} ({} of {})\n\n", kPercent * scores.accuracy, scores.correct, scores.words);
  if (scores.entities)
    return table + entity_table("default", *scores.entities) + "\n" +
           entity_table("strict IOB2", *scores.strict_entities);
  size_t width = kLeastNameWidth;
  for (const auto& [tag, score] : scores.tags) width = std::max(width, tag.size());
  table += heading("tag", width);
  for (const auto& [tag, score] : scores.tags) table += score_row(tag, width, score);
  if (scores.attachment) return table;
  return table + "\nas the original release scores pos (seqeval on bare tags)\n" +
         score_row("micro", width, scores.seqeval);
}

std::string scores_json(const FileScores& scores) {
  nlohmann::ordered_json json = {{"task", scores.task},
                                 {"gold", scores.gold_path},
                                 {"predicted", scores.predicted_path},
                                 {"sentences", scores.sentences},
                                 {"words", scores.words},
                                 {"words_without_prediction", scores.without_prediction},
                                 {"correct", scores.correct},
                                 {"accuracy", scores.accuracy}};
  nlohmann::ordered_json tags = nlohmann::ordered_json::object();
  for (const auto& [tag, score] : scores.tags) tags[tag] = json_of(score);
  json["tags"] = tags;
  if (scores.attachment) {
    json["uas"] = scores.attachment->uas;
    json["las"] = scores.attachment->las;
  } else if (scores.entities) {
    json["default"] = json_of(*scores.entities);
    json["strict"] = json_of(*scores.strict_entities);
  } else {
    json["seqeval"] = json_of(scores.seqeval);
  }
  // paths may hold any bytes
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace hyperx::data
