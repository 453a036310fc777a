#include "app/tensor/doctor_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/errors.h"

namespace hyperx {
namespace {

using doctor::Finding;
using doctor::Findings;
using doctor::Level;

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

int64_t count(const Findings& findings, Level level) {
  return std::count_if(findings.begin(), findings.end(), [&](const Finding& each) { return each.level == level; });
}

void write_lines(const Findings& findings, std::ostream& out) {
  size_t width = 0;
  for (const Finding& each : findings) width = std::max(width, each.check.size());
  constexpr size_t kLevelWidth = 7;  // of "warning"
  for (const Finding& each : findings) {
    out << padded(doctor::level_word(each.level), kLevelWidth) << "  " << padded(each.check, width) << "  "
        << each.found << "\n";
    if (!each.advice.empty()) out << std::string(kLevelWidth + width + 4, ' ') << "-> " << each.advice << "\n";
  }
  const int64_t warnings = count(findings, Level::kWarning);
  out << count(findings, Level::kOk) << " ok, " << warnings << (warnings == 1 ? " warning, " : " warnings, ")
      << count(findings, Level::kWrong) << " wrong\n";
}

nlohmann::json to_json(const doctor::JobFacts& job, const Findings& findings) {
  nlohmann::json object = {{"findings", nlohmann::json::array()},
                           {"ranks", nlohmann::json::array()},
                           {"all_reduce", nlohmann::json::array()},
                           {"links", nlohmann::json::array()},
                           {"backend", job.backend},
                           {"folder", job.folder}};
  for (const Finding& each : findings)
    object["findings"].push_back({{"level", doctor::level_word(each.level)},
                                  {"check", each.check},
                                  {"found", each.found},
                                  {"advice", each.advice}});
  for (const doctor::RankFacts& rank : job.ranks) object["ranks"].push_back(rank.to_json());
  for (const doctor::ReduceSpeed& each : job.reduces)
    object["all_reduce"].push_back(
        {{"bytes", each.bytes},
         {"seconds", each.seconds},
         {"bus_bytes_per_second", each.bus_bytes_per_second(static_cast<int>(job.ranks.size()))}});
  for (const doctor::LinkSpeed& each : job.links)
    object["links"].push_back({{"from", each.from}, {"to", each.to}, {"bytes_per_second", each.bytes_per_second}});
  return object;
}

}  // namespace

std::string folder_of(const CommandLine& line) {
  if (line.objects.size() > 1) throw UserError(ExitCode::kUsage, "name one folder at most: hyperx doctor [FOLDER]");
  return line.objects.empty() ? "." : line.objects[0];
}

int report(const doctor::JobFacts& job, bool as_json, std::ostream& out) {
  const Findings findings = doctor::check_all(job);
  if (as_json)
    out << to_json(job, findings).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  else
    write_lines(findings, out);
  return count(findings, Level::kWrong) == 0 ? 0 : static_cast<int>(ExitCode::kUnavailable);
}

}  // namespace hyperx
