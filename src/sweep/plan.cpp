#include "sweep/plan.h"

#include <algorithm>
#include <filesystem>

#include "common/config/make_option.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"

namespace hyperx::sweep {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr size_t kShortestDigest = 6;  // digits of a digest that name a row

Evaluation evaluation_of(const JsonValue& object) {
  Evaluation evaluation;
  for (const auto& [key, value] : object.fields()) {
    if (key == "eval.split") evaluation.split = value.text();
    evaluation.settings.emplace_back(key, value.text());
  }
  return evaluation;
}

std::string plan_file(const std::string& folder) { return folder + "/plan.json"; }

nlohmann::json read_object(const std::string& folder) {
  const std::string path = plan_file(folder);
  if (kind_of(path) == PathKind::kNothing)
    throw UserError(
        ExitCode::kNoInput,
        folder + ": is not a sweep: it has no plan.json. `hyperx sweep plan FILE --output " + folder + "` makes one");
  nlohmann::json object = parse_json(read_file(path), path, "restore the file");
  const int64_t version = JsonValue(path, object)["format_version"].integer();
  if (version != kFormatVersion)
    throw UserError(ExitCode::kBadData, path + ": is of format " + std::to_string(version) + ", this hyperx reads " +
                                            std::to_string(kFormatVersion));
  return object;
}

Plan plan_of(const JsonValue& root, const std::string& folder) {
  Plan plan;
  plan.folder = folder;
  plan.project = root["project"].text();
  plan.varying = root["varying"].texts();
  plan.sources = root["sources"].raw();
  for (const JsonValue& each : root["evaluations"].items()) plan.evaluations.push_back(evaluation_of(each));
  for (const JsonValue& each : root["rows"].items()) {
    PlanRow row{each["digest"].text(), each["values"].texts()};
    if (!is_plain_name(row.digest) || row.values.size() != plan.varying.size()) each.fail("is not a row of this plan");
    plan.rows.push_back(std::move(row));
  }
  return plan;
}

}  // namespace

Plan read_plan(const std::string& named) {
  std::string folder = without_slashes(named);
  nlohmann::json object = read_object(folder);
  std::string path = plan_file(folder);  // which a JsonValue refers to
  if (!object.contains("chunk_of")) return plan_of(JsonValue(path, object), folder);
  const JsonValue chunk(path, object);
  const int64_t offset = chunk["offset"].integer(0);
  folder = without_slashes((fs::path(folder) / chunk["chunk_of"].text()).lexically_normal().string());
  object = read_object(folder);
  path = plan_file(folder);
  Plan plan = plan_of(JsonValue(path, object), folder);
  plan.offset = offset;
  return plan;
}

std::string make_chunk(const Plan& plan, int64_t offset) {
  const std::string folder = plan.folder + "/chunks/from-" + std::to_string(offset);
  make_folders(folder);
  const nlohmann::json object = {{"format_version", kFormatVersion}, {"chunk_of", "../.."}, {"offset", offset}};
  write_file_atomically(folder + "/plan.json", object.dump(1) + "\n");
  return folder;
}

std::string Plan::name() const {
  std::error_code error;
  return fs::weakly_canonical(folder, error).filename().string();
}

std::string Plan::describe(int64_t number) const {
  std::string text;
  for (size_t i = 0; i < varying.size(); ++i)
    text += (text.empty() ? "" : ", ") + varying[i] + " = " + row(number).values[i];
  return text.empty() ? row(number).digest : text;
}

int64_t Plan::find(const std::string& name) const {
  const auto refuse = [&](const std::string& why) { throw UserError(ExitCode::kUsage, "row '" + name + "': " + why); };
  const nlohmann::json entry = parse_json_or_discard(name);
  const bool is_entry = entry.is_object() && entry.contains("row") && entry["row"].is_number_integer();
  int64_t number = is_entry ? entry["row"].get<int64_t>() : 0;
  const bool is_number = is_entry || config::read_value(name, number) == config::Reading::kGood;
  // An entry of `list` has the sweep's own number.
  number += is_entry ? 0 : offset;
  if (is_number && number >= 1 && number <= size()) return number;
  if (is_entry || (is_number && name.size() < kShortestDigest))
    refuse("the rows of " + folder + " are 1 to " + std::to_string(size()));
  int64_t found = 0;
  for (int64_t each = 1; name.size() >= kShortestDigest && each <= size(); ++each) {
    if (!row(each).digest.starts_with(name)) continue;
    if (found > 0) refuse("more than one row has a digest that begins so");
    found = each;
  }
  if (found == 0) refuse("expected a number from 1 to " + std::to_string(size()) + ", or a row's digest");
  return found;
}

}  // namespace hyperx::sweep
