#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/commands.h"
#include "app/run_facts.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/text_table.h"

namespace hyperx {
namespace {

constexpr size_t kWidestCell = 60;  // bytes of a value in the table; JSON has all of it

// A fact of which the runs differ; an empty text where a run has none.
struct Difference {
  std::string key;
  std::vector<std::string> values;
};

std::vector<Difference> differences(const std::vector<RunFacts>& runs, FactKind kind) {
  std::set<std::string> keys;
  for (const RunFacts& run : runs)
    for (const auto& [key, value] : run.facts)
      if (key.first == kind) keys.insert(key.second);
  std::vector<Difference> found;
  for (const std::string& key : keys) {
    Difference row{key, {}};
    bool all_known = true;
    for (const RunFacts& run : runs) {
      const auto fact = run.facts.find({kind, key});
      all_known = all_known && fact != run.facts.end();
      row.values.push_back(fact == run.facts.end() ? "" : fact->second);
    }
    // What is not known of a run cannot be said to differ; not_known tells why.
    const bool differs = std::set<std::string>(row.values.begin(), row.values.end()).size() > 1;
    if (differs && (all_known || kind == FactKind::kMachine || kind == FactKind::kData)) found.push_back(row);
  }
  return found;
}

std::string cell(const std::string& value) {
  if (value.empty()) return "(none)";
  constexpr size_t kPart = (kWidestCell - 3) / 2;  // the ends of two paths differ, the beginnings of two digests
  return value.size() <= kWidestCell ? value : value.substr(0, kPart) + "..." + value.substr(value.size() - kPart);
}

std::vector<std::string> head_of(const std::vector<RunFacts>& runs, std::vector<std::string> head) {
  for (const RunFacts& run : runs) head.push_back(run.run);
  return head;
}

// Scores that every run has.
std::vector<std::tuple<std::string, std::string, std::string>> common_scores(const std::vector<RunFacts>& runs) {
  std::vector<std::tuple<std::string, std::string, std::string>> keys;
  for (const auto& [key, score] : runs.front().scores) {
    bool everywhere = true;
    for (const RunFacts& run : runs) everywhere = everywhere && run.scores.contains(key);
    if (everywhere) keys.push_back(key);
  }
  return keys;
}

std::string verdict(int64_t affecting, bool other_machine) {
  if (affecting > 0)
    return std::to_string(affecting) + (affecting == 1 ? " difference affects" : " differences affect") + " the result";
  return std::string("no difference in what affects the result") +
         (other_machine ? "; machine or libraries differ, which may change the last bits" : "");
}

void print_scores(const std::vector<RunFacts>& runs) {
  const auto keys = common_scores(runs);
  if (keys.empty()) return;
  std::vector<std::string> head = head_of(runs, {"split", "pair", "metric"});
  if (runs.size() == 2) head.emplace_back("difference");
  TextTable table(head);
  for (const auto& key : keys) {
    std::vector<std::string> row = {std::get<0>(key), std::get<1>(key), std::get<2>(key)};
    for (const RunFacts& run : runs) {
      const Score& score = run.scores.at(key);
      row.push_back(number_text(score.value) + " @" + std::to_string(score.step));
    }
    if (runs.size() == 2) row.push_back(number_text(runs[1].scores.at(key).value - runs[0].scores.at(key).value));
    table.add(row);
  }
  std::cout << "\nscores that all of them have\n";
  table.print(std::cout);
}

void print_text(const std::vector<RunFacts>& runs) {
  int64_t affecting = 0;
  bool other_machine = false;
  for (const FactKindRow& kind : fact_kinds()) {
    const std::vector<Difference> found = differences(runs, kind.kind);
    if (found.empty()) continue;
    if (kind.affects_result) affecting += std::ssize(found);
    if (kind.kind == FactKind::kMachine) other_machine = true;
    TextTable table(head_of(runs, {""}));
    for (const Difference& row : found) {
      std::vector<std::string> cells = {row.key};
      for (const std::string& value : row.values) cells.push_back(cell(value));
      table.add(cells);
    }
    std::cout << kind.title << "\n";
    table.print(std::cout);
    std::cout << "\n";
  }
  for (const RunFacts& run : runs)
    for (const std::string& line : run.not_known) std::cout << "not known of " << run.run << ": " << line << "\n";
  std::cout << verdict(affecting, other_machine) << "\n";
  print_scores(runs);
}

void print_json(const std::vector<RunFacts>& runs) {
  nlohmann::json object = {{"runs", nlohmann::json::array()}, {"scores", nlohmann::json::array()}};
  int64_t affecting = 0;
  for (const RunFacts& run : runs) object["runs"].push_back({{"run", run.run}, {"not_known", run.not_known}});
  for (const FactKindRow& kind : fact_kinds()) {
    nlohmann::json& rows = object["differences"][kind.name] = nlohmann::json::object();
    for (const Difference& row : differences(runs, kind.kind)) {
      rows[row.key] = row.values;
      if (kind.affects_result) ++affecting;
    }
  }
  object["affects_result"] = affecting;
  for (const auto& key : common_scores(runs)) {
    nlohmann::json values = nlohmann::json::array();
    for (const RunFacts& run : runs)
      values.push_back({{"value", run.scores.at(key).value}, {"step", run.scores.at(key).step}});
    object["scores"].push_back(
        {{"split", std::get<0>(key)}, {"pair", std::get<1>(key)}, {"metric", std::get<2>(key)}, {"values", values}});
  }
  std::cout << object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

int run_diff(const CommandLine& line) {
  if (line.objects.size() < 2) throw UserError(ExitCode::kUsage, "name two runs or more: hyperx diff RUN RUN...");
  std::vector<RunFacts> runs;
  for (const std::string& object : line.objects) runs.push_back(read_run_facts(without_slashes(object)));
  if (line.has_flag("json"))
    print_json(runs);
  else
    print_text(runs);
  return 0;
}

}  // namespace

Command diff_command() {
  CommandSpec spec;
  spec.name = "diff";
  spec.usage = "hyperx diff RUN RUN...";
  spec.summary = "shows what differs between runs, and whether it affects the result";
  spec.help =
      "Compares settings, digests of corpus and encoder, program, machine and libraries, progress, and the scores "
      "that\n"
      "all of the runs have. Folders of corpora and encoders count by their digests, not by their names. Facts that\n"
      "are equal are left out.\n\n"
      "Example:\n"
      "  hyperx diff runs/first runs/second";
  spec.flags = {{"json", "", "one JSON object instead of tables"}};
  return {spec, run_diff};
}

}  // namespace hyperx
