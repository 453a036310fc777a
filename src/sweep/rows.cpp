#include "sweep/rows.h"

#include <algorithm>
#include <filesystem>

#include "common/config/stored_paths.h"
#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "model/methods/method_spec.h"

namespace hyperx::sweep {

namespace fs = std::filesystem;
using config::Option;

// A row that is being made.
struct RowMaker::Candidate {
  Config config;
  int line = 0;                                             // of the section that it is from
  std::vector<std::pair<const Option*, std::string>> sets;  // what makes it different from the base

  void set(const Option& option, const std::string& value) {
    option.set(config, value);
    const auto found = std::find_if(sets.begin(), sets.end(), [&](const auto& each) { return each.first == &option; });
    if (found == sets.end())
      sets.emplace_back(&option, value);
    else
      found->second = value;
  }
  bool varies(const Option& option) const {
    return std::any_of(sets.begin(), sets.end(), [&](const auto& each) { return each.first == &option; });
  }
  std::string text() const {
    std::string text;
    for (const auto& [option, value] : sets) text += (text.empty() ? "" : ", ") + option->key + " = " + value;
    return text.empty() ? "the base settings" : text;
  }
};

namespace {

bool holds(const Condition& condition, const Config& config) {
  const std::string value = condition.option->get(config);
  return (std::find(condition.values.begin(), condition.values.end(), value) != condition.values.end()) ==
         condition.equal;
}

bool fits(const When& when, const Config& config) {
  return std::all_of(when.conditions.begin(), when.conditions.end(),
                     [&](const Condition& each) { return holds(each, config); });
}

// A resumed run may change these because training does not depend on them, but which checkpoint is scored does.
bool affects_scores(const Option& option) {
  return option.paths != config::Paths::kNone || option.key.starts_with("eval.") ||
         option.key.starts_with("checkpoint.");
}

bool is_of_another_method(const Option& option, const std::string& method) {
  const auto& specs = model::method_specs();
  return std::any_of(specs.begin(), specs.end(), [&](const model::MethodSpec& spec) {
    return spec.name != method && option.key.starts_with(std::string(spec.name) + ".");
  });
}

}  // namespace

std::string run_folder_of(const std::string& sweep, const std::string& digest) { return sweep + "/runs/" + digest; }

std::string settings_file_of(const std::string& sweep, const std::string& digest) {
  return sweep + "/rows/" + digest + ".conf";
}

RowMaker::RowMaker(const config::Schema& schema, const CommandSpecs& specs, const std::string& folder,
                   const std::string& project)
    : schema_(schema), specs_(specs), rows_folder_(folder + "/rows"), project_(project) {
  for (const Option& option : schema.options) {
    if (!config::takes(specs.train, option) || option.key == "run.dir") continue;
    options_.push_back(&option);
    keys_.push_back(option.key);
  }
}

std::string RowMaker::stored(const std::string& path) const {
  const auto [found, is_new] = stored_.try_emplace(path);
  if (is_new) found->second = config::stored_path(path, rows_folder_, project_);
  return found->second;
}

std::string RowMaker::project_from_sweep() const {
  std::error_code error;
  const fs::path sweep = fs::weakly_canonical(fs::absolute(rows_folder_, error).parent_path(), error);
  return fs::weakly_canonical(fs::absolute(project_, error), error).lexically_relative(sweep).string();
}

std::vector<std::string> RowMaker::values_of(const std::string& settings_file) const {
  // Not by read_settings(), which resolves the paths.
  const Config config = parse_config_text(schema_, read_file(settings_file), settings_file, Removed::kRefuse);
  std::vector<std::string> values;
  for (const Option* option : options_) values.push_back(option->get(config));
  return values;
}

Expansion RowMaker::expand(const SweepFile& file) const {
  Expansion expansion;
  for (const Section& section : file.sections) expand_section(file, section, expansion);
  if (file.sections.empty()) expand_section(file, Section{}, expansion);
  if (expansion.rows.empty())
    throw UserError(ExitCode::kBadConfig, file.path + ": its [when ...] skip = yes leave out every row");
  return expansion;
}

// Counts through all combinations as an odometer does; of a list, and of seeds, all values advance together.
void RowMaker::expand_section(const SweepFile& file, const Section& section, Expansion& expansion) const {
  std::vector<std::vector<const Setting*>> wheels;
  if (section.is_list) {
    wheels.emplace_back();
    for (const Setting& each : section.settings) wheels.back().push_back(&each);
  } else {
    for (const Setting& each : section.settings) wheels.push_back({&each});
  }
  if (!file.seeds.values.empty()) wheels.push_back({&file.seeds});
  std::vector<size_t> at(wheels.size(), 0);
  for (;;) {
    Candidate candidate{file.base, section.line, {}};
    for (size_t i = 0; i < wheels.size(); ++i)
      for (const Setting* each : wheels[i]) candidate.set(*each->option, each->values[at[i]]);
    add(file, std::move(candidate), expansion);
    size_t wheel = wheels.size();
    while (wheel > 0 && ++at[wheel - 1] == wheels[wheel - 1].front()->values.size()) at[--wheel] = 0;
    if (wheel == 0) return;
  }
}

void RowMaker::add(const SweepFile& file, Candidate candidate, Expansion& expansion) const {
  for (const When& when : file.whens) {
    if (!fits(when, candidate.config)) continue;
    if (when.skip) {
      ++expansion.skipped;
      return;
    }
    for (const Setting& each : when.settings) candidate.set(*each.option, each.values[0]);
  }
  check(file, candidate);
  Row row = make_row(candidate);
  const auto [found, is_new] = expansion.place.emplace(row.digest, expansion.rows.size());
  if (is_new)
    expansion.rows.push_back(std::move(row));
  else
    expansion.equal_rows.push_back(file.path + ":" + std::to_string(candidate.line) + ": " + candidate.text() +
                                   " is row " + std::to_string(found->second + 1) + " again");
}

void RowMaker::check(const SweepFile& file, const Candidate& candidate) const {
  const std::string place =
      file.path + (candidate.line > 0 ? ":" + std::to_string(candidate.line) : "") + ": " + candidate.text() + ": ";
  const Config& config = candidate.config;
  for (const auto& [value, key] :
       {std::pair(&config.data.corpus, "data.corpus"), std::pair(&config.train.pairs, "train.pairs"),
        std::pair(&config.model.encoder, "model.encoder")})
    if (value->empty())
      throw UserError(ExitCode::kBadConfig,
                      place + key + " is not set: add a line `" + key + " = ...` above the first [section]");
  const Config standard;
  try {
    schema_.check(config, [&](std::string_view key) {
      const Option* const option = schema_.find(key);
      if (option == nullptr || !config::takes(specs_.train, *option)) return config::Source::kNotTaken;
      const bool given = file.given.contains(std::string(key)) || candidate.varies(*option);
      return given && option->get(config) != option->get(standard) ? config::Source::kFile : config::Source::kDefault;
    });
  } catch (const UserError& error) {
    throw UserError(error.code(), place + error.what());
  }
}

bool RowMaker::counts(const Option& option, const std::string& method) const {
  return !is_of_another_method(option, method) && (option.resume != config::Resume::kFree || affects_scores(option));
}

const Option* RowMaker::difference(const std::vector<std::string>& values,
                                   const std::vector<std::string>& others) const {
  const auto method = std::find(keys_.begin(), keys_.end(), "model.method") - keys_.begin();
  for (size_t i = 0; i < options_.size(); ++i)
    if (values[i] != others[i] && counts(*options_[i], values[static_cast<size_t>(method)])) return options_[i];
  return nullptr;
}

Row RowMaker::make_row(const Candidate& candidate) const {
  Config config = candidate.config;
  const auto store = [&](const std::string& path) { return stored(path); };
  for (const Option& option : schema_.options)
    if (option.paths != config::Paths::kNone)
      option.text(config) = config::with_paths(option, option.get(config), store);
  const Config standard;
  Row row;
  std::string text;
  for (const Option* option : options_) {
    row.values.push_back(option->get(config));
    const bool is_part = counts(*option, config.model.method) ||
                         (candidate.varies(*option) && !is_of_another_method(*option, config.model.method));
    if (is_part && row.values.back() != option->get(standard)) text += option->key + " = " + row.values.back() + "\n";
  }
  row.digest = xxh128_hex(text);
  config.run.dir = "../runs/" + row.digest;
  row.settings = dump_config(schema_, config);
  return row;
}

}  // namespace hyperx::sweep
