#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/bench.h"
#include "common/text_table.h"

namespace hyperx::bench {

double Measure::share() const {
  if (!limit || *limit == 0 || value == 0) return 0;
  const bool is_rate = unit.size() > 2 && unit.compare(unit.size() - 2, 2, "/s") == 0;
  return is_rate ? value / *limit : *limit / value;
}

void Report::add(Measure measure) { measures_.push_back(std::move(measure)); }

void Report::fail(const std::string& part, const std::string& reason) { failed_.emplace_back(part, reason); }

void Report::skip(const std::string& part, const std::string& reason) { skipped_.emplace_back(part, reason); }

std::string Report::table() const {
  std::ostringstream out;
  TextTable table({"part", "what", "measured", "unit", "limit", "reached", "note"});
  for (const Measure& measure : measures_)
    table.add({measure.part, measure.what, number_text(measure.value), measure.unit,
               measure.limit ? number_text(*measure.limit) : "-",
               measure.limit ? number_text(100.0 * measure.share()) + " %" : "-", measure.note});
  table.print(out, "");
  for (const auto& [part, reason] : skipped_) out << part << ": not measured: " << reason << "\n";
  for (const auto& [part, reason] : failed_) out << part << ": failed: " << reason << "\n";
  return out.str();
}

std::string Report::json(const std::vector<std::pair<std::string, std::string>>& facts) const {
  nlohmann::json rows = nlohmann::json::array(), skipped = nlohmann::json::object(), machine = nlohmann::json::object();
  nlohmann::json failed = nlohmann::json::object();
  for (const Measure& measure : measures_) {
    nlohmann::json row = {{"part", measure.part},
                          {"what", measure.what},
                          {"value", measure.value},
                          {"unit", measure.unit},
                          {"note", measure.note}};
    if (measure.limit) {
      row["limit"] = *measure.limit;
      row["reached"] = measure.share();
    }
    rows.push_back(std::move(row));
  }
  for (const auto& [part, reason] : skipped_) skipped[part] = reason;
  for (const auto& [part, reason] : failed_) failed[part] = reason;
  for (const auto& [name, value] : facts) machine[name] = value;
  return nlohmann::json{{"machine", machine}, {"measures", rows}, {"not_measured", skipped}, {"failed", failed}}.dump(
             1) +
         "\n";
}

bool has_training_data(Bench& bench, const std::string& part) {
  const Config& config = bench.config;
  const bool has = !config.data.corpus.empty() && !config.model.encoder.empty() && !config.train.pairs.empty();
  if (!has) bench.report.skip(part, "it needs --data.corpus, --model.encoder and --train.pairs");
  return has;
}

void report_profile(Bench& bench, const std::string& part, const OpProfile& profile, const ProfiledTime& time) {
  const std::string by_part = part + " by part";
  double known = time.waited;
  if (time.waited > 0)
    bench.report.add({by_part, "data: waiting for the batch", 1e3 * time.waited / time.passes, "ms", {}, ""});
  for (const auto& [category, spent] : profile.seconds()) {
    known += spent;
    std::optional<double> limit;
    if (category == "products") limit = 1e3 * time.product_limit;
    bench.report.add({by_part, category, 1e3 * spent / time.passes, "ms", limit,
                      fmt::format("{:.1f} %", 100 * spent / time.seconds)});
  }
  bench.report.add({by_part, "between operations", 1e3 * (time.seconds - known) / time.passes, "ms", {}, ""});
  if (!bench.line.has_flag("operations")) return;
  for (const auto& [name, spent] : profile.operations())
    if (spent > 0.002 * time.seconds) bench.report.add({"operation", name, 1e3 * spent / time.passes, "ms", {}, ""});
}

}  // namespace hyperx::bench
