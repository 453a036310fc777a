#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/new_folder.h"
#include "common/read_error.h"
#include "common/version.h"
#include "sweep/plan.h"
#include "sweep/row_set.h"
#include "trainer/run/run_dir.h"

namespace hyperx::sweep {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;

// One call for thousands of small files, whose own fsyncs would take minutes on a network file system.
void sync_all(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::syncfs(fd) == 0;
  const std::string cause = errno_text();
  if (fd >= 0) ::close(fd);
  if (!synced) throw SystemError(folder + ": cannot be written to the disk: " + cause);
}

void write_settings(const std::string& folder, const Row& row) {
  OutputFile file(settings_file_of(folder, row.digest));
  file.write(row.settings);
}

nlohmann::json source_of(const SweepFile& file, int64_t first, int64_t last) {
  std::vector<int64_t> rows;
  for (int64_t number = first; number <= last; ++number) rows.push_back(number);
  return {{"file", file.path},
          {"time", train::utc_time()},
          {"program", std::string(version()) + " (" + std::string(git_revision()) + ")"},
          {"xxh128", xxh128_hex(file.text)},
          {"rows", row_set_text(rows)},
          {"text", file.text}};
}

std::vector<Evaluation> stored_evaluations(const config::Schema& schema, const SweepFile& file, const RowMaker& maker) {
  std::vector<Evaluation> stored = file.evaluations;
  for (Evaluation& evaluation : stored)
    for (auto& [key, value] : evaluation.settings)
      if (schema.find(key)->paths != config::Paths::kNone && !value.empty()) value = maker.stored(value);
  return stored;
}

std::string plan_text(const Plan& plan) {
  nlohmann::ordered_json object = {{"format_version", kFormatVersion}, {"project", plan.project},
                                   {"varying", plan.varying},          {"evaluations", nlohmann::json::array()},
                                   {"sources", plan.sources},          {"rows", nlohmann::json::array()}};
  for (const Evaluation& each : plan.evaluations) {
    nlohmann::json settings = nlohmann::json::object();
    for (const auto& [key, value] : each.settings) settings[key] = value;
    object["evaluations"].emplace_back(settings);
  }
  std::string text = object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
  // One line per row: the file stays readable, and `diff` shows what was added.
  std::string rows;
  for (const PlanRow& each : plan.rows)
    rows += std::string(rows.empty() ? "" : ",") + "\n  " +
            nlohmann::ordered_json{{"digest", each.digest}, {"values", each.values}}.dump(
                -1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string empty = "\"rows\": []\n}";
  HYPERX_CHECK(text.ends_with(empty), "the rows come last");
  return text.replace(text.size() - empty.size(), empty.size(), "\"rows\": [" + rows + "\n ]\n}\n");
}

std::string table_text(const Plan& plan) {
  std::string text = "row\tdigest";
  for (const std::string& key : plan.varying) text += "\t" + key;
  text += "\n";
  for (int64_t number = 1; number <= plan.size(); ++number) {
    text += std::to_string(number) + "\t" + plan.row(number).digest;
    for (const std::string& value : plan.row(number).values) text += "\t" + value;
    text += "\n";
  }
  return text;
}

// Fills `varying` and the rows' values from the values of all keys.
void set_values(Plan& plan, const std::vector<std::string>& keys, const std::vector<std::vector<std::string>>& values) {
  plan.varying.clear();
  for (PlanRow& row : plan.rows) row.values.clear();
  for (size_t key = 0; key < keys.size(); ++key) {
    const auto differs = [&](const auto& row) { return row[key] != values[0][key]; };
    if (std::none_of(values.begin(), values.end(), differs)) continue;
    plan.varying.push_back(keys[key]);
    for (size_t row = 0; row < values.size(); ++row) plan.rows[row].values.push_back(values[row][key]);
  }
}

// Defaults may differ between the version that made the row and this one; a digest does not tell.
void require_same_settings(const Plan& plan, int64_t number, const RowMaker& maker,
                           const std::vector<std::string>& before, const Row& now) {
  const config::Option* const option = maker.difference(before, now.values);
  if (option == nullptr) return;
  const auto place =
      static_cast<size_t>(std::find(maker.keys().begin(), maker.keys().end(), option->key) - maker.keys().begin());
  throw UserError(ExitCode::kBadConfig, plan.settings_file(number) + ": row " + std::to_string(number) + " has " +
                                            option->key + " = " + before[place] +
                                            ", and this version of hyperx takes " + now.values[place] +
                                            " where it is not set: set it in the sweep file to the one that you mean");
}

}  // namespace

Plan write_plan(const std::string& folder, const SweepFile& file, const RowMaker& maker, const Expansion& expansion) {
  if (kind_of(folder + "/plan.json") != PathKind::kNothing)
    throw UserError(ExitCode::kCannotCreate, folder + ": holds a sweep. `hyperx sweep extend " + folder + " " +
                                                 file.path + "` adds rows to it; for a new one, name another --output");
  NewFolder made(folder);
  Plan plan;
  plan.folder = made.path();
  plan.project = maker.project_from_sweep();
  plan.evaluations = stored_evaluations(maker.schema(), file, maker);
  plan.sources = nlohmann::json::array({source_of(file, 1, std::ssize(expansion.rows))});
  std::vector<std::vector<std::string>> values;
  for (const char* name : {"/rows", "/runs", "/logs"}) make_folders(made.temporary() + name);
  for (const Row& row : expansion.rows) {
    plan.rows.push_back({row.digest, {}});
    values.push_back(row.values);
    write_settings(made.temporary(), row);
  }
  set_values(plan, maker.keys(), values);
  write_file_atomically(made.temporary() + "/rows.tsv", table_text(plan));
  write_file_atomically(made.temporary() + "/plan.json", plan_text(plan));
  sync_all(made.temporary());
  made.commit();
  return plan;
}

Extended extend_plan(const Plan& before, const SweepFile& file, const RowMaker& maker, const Expansion& expansion) {
  Plan plan = before;
  Extended result;
  result.kept = before.size();
  plan.evaluations = stored_evaluations(maker.schema(), file, maker);
  result.evaluates_differently = plan.evaluations != before.evaluations;
  std::vector<std::vector<std::string>> values;
  std::map<std::string, size_t> known;  // place by digest
  for (const PlanRow& row : before.rows) {
    values.push_back(maker.values_of(settings_file_of(before.folder, row.digest)));
    known.emplace(row.digest, known.size());
    if (!expansion.place.contains(row.digest)) ++result.only_before;
  }
  for (const Row& row : expansion.rows) {
    if (const auto found = known.find(row.digest); found != known.end()) {
      require_same_settings(before, static_cast<int64_t>(found->second + 1), maker, values[found->second], row);
      continue;
    }
    plan.rows.push_back({row.digest, {}});
    values.push_back(row.values);
    write_settings(before.folder, row);
    ++result.added;
  }
  set_values(plan, maker.keys(), values);
  plan.sources.push_back(source_of(file, result.kept + 1, plan.size()));
  sync_all(before.folder);
  // The plan last: rows that it does not name do not exist.
  write_file_atomically(before.folder + "/plan.json", plan_text(plan));
  write_file_atomically(before.folder + "/rows.tsv", table_text(plan));
  return result;
}

}  // namespace hyperx::sweep
