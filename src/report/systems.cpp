#include "report/systems.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/progress.h"
#include "model/options.h"

namespace hyperx::report {
namespace {

constexpr char kPairsKey[] = "train.pairs";

struct Object {
  std::string label;
  std::vector<std::string> names;
  bool is_one_system = false;
};

bool is_path(const std::string& text) {
  std::error_code unreadable;
  return std::filesystem::exists(text, unreadable);
}

Object parse_object(const std::string& text) {
  if (is_path(text)) return {"", {text}, false};
  Object object;
  std::string names = text;
  const size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0 && text.find('/') > equals) {
    object.label = text.substr(0, equals);
    names = text.substr(equals + 1);
  }
  object.names = is_path(names) ? std::vector<std::string>{names} : config::paths_in(names);
  object.is_one_system = !object.label.empty() || object.names.size() > 1;
  if (object.names.empty())
    throw UserError(ExitCode::kUsage, "'" + text + "': names no run; write LABEL=RUN, or LABEL=RUN,RUN,...");
  return object;
}

// The seeds and parts of one system may be built on different runs: MAD-X's language adapters have seeds, too.
bool may_differ_within_system(const std::string& key) {
  const config::Option* const option = model::options().find(key);
  return key == kPairsKey || (option != nullptr && option->paths == config::Paths::kList);
}

std::string settings_key(const Run& run) {
  if (!run.has_config) return run.path;
  std::string key;
  for (const auto& [name, value] : run.settings) key += name + "=" + value + "\n";
  return key;
}

void require_one_system(const Object& object, const std::vector<Run>& runs, const std::vector<size_t>& members) {
  const Run* first = nullptr;
  for (const size_t member : members) {
    const Run& run = runs[member];
    if (!run.has_config) continue;
    if (first == nullptr) first = &run;
    for (const auto& [key, value] : run.settings) {
      const auto other = first->settings.find(key);
      if (may_differ_within_system(key) || other == first->settings.end() || other->second == value) continue;
      throw UserError(
          ExitCode::kUsage,
          fmt::format("{} cannot be one system: {} is '{}' in {} and '{}' in {}; name them apart, each with "
                      "its own LABEL=",
                      object.label.empty() ? fmt::format("{}", fmt::join(object.names, ",")) : object.label, key,
                      other->second, first->path, value, run.path));
    }
  }
}

// Without what follows the last letter of the common beginning: "hyper-s" of "hyper-s1" and "hyper-s2" -> "hyper".
std::string common_name(const std::vector<Run>& runs, const std::vector<size_t>& members) {
  std::string name = runs[members[0]].name();
  if (members.size() == 1) return name;
  for (const size_t member : members) {
    const std::string other = runs[member].name();
    const auto end = std::mismatch(name.begin(), name.end(), other.begin(), other.end()).first;
    name.erase(end, name.end());
  }
  for (const std::string& word : {std::string("seed"), std::string("s")}) {
    const size_t letters = name.find_last_not_of("-_.=") + 1;
    const bool ends_with_word = name.substr(0, letters).ends_with(word);
    const size_t begin = ends_with_word ? letters - word.size() : 0;
    if (ends_with_word && (begin == 0 || std::string("-_.").find(name[begin - 1]) != std::string::npos))
      name.erase(begin);
  }
  name.erase(name.find_last_not_of("-_.=") + 1);
  return name;
}

std::vector<std::string> differing(const std::vector<Run>& runs, const std::vector<size_t>& members) {
  std::map<std::string, std::set<std::string>> values;
  for (const size_t member : members)
    for (const auto& [key, value] : runs[member].settings) values[key].insert(value);
  std::vector<std::string> keys;
  for (const auto& [key, found] : values)
    if (found.size() > 1) keys.push_back(key);
  return keys;
}

// Names of systems that the user did not label: those of their folders; where two are equal, the settings that differ
// (and their first run's path where none do) follow.
void name_systems(Selection& selection) {
  std::map<std::string, std::vector<System*>> by_label;
  for (System& system : selection.systems) {
    if (system.label.empty()) system.label = common_name(selection.runs, system.runs);
    by_label[system.label].push_back(&system);
  }
  for (const auto& [label, systems] : by_label) {
    if (systems.size() == 1 && !label.empty()) continue;
    std::vector<size_t> firsts;
    for (const System* system : systems) firsts.push_back(system->runs[0]);
    const std::vector<std::string> keys = differing(selection.runs, firsts);
    std::set<std::string> given;
    for (System* system : systems) {
      const Run& run = selection.runs[system->runs[0]];
      std::vector<std::string> parts;
      for (const std::string& key : keys) {
        const auto found = run.settings.find(key);
        if (found != run.settings.end()) parts.push_back(key + "=" + found->second);
      }
      std::string name = fmt::format("{}{}{}", label, label.empty() ? "" : " ", fmt::join(parts, " "));
      if (parts.empty() || !given.insert(name).second) given.insert(name = run.path);
      system->label = name;
    }
  }
}

void drop_repeated_seeds(Selection& selection) {
  for (System& system : selection.systems) {
    std::map<std::pair<uint64_t, std::string>, size_t> seen;
    std::vector<size_t> kept;
    for (const size_t index : system.runs) {
      const Run& run = selection.runs[index];
      const auto [first, is_new] = seen.try_emplace({run.seed, run.trained_pairs()}, index);
      if (is_new || !run.has_config) {
        kept.push_back(index);
      } else {
        selection.notes.push_back(fmt::format("{}: left out, because {} has the same settings and seed {}", run.path,
                                              selection.runs[first->second].path, run.seed));
      }
    }
    system.runs = kept;
  }
}

// Systems that differ in their training pairs only are perhaps partitions.
void note_possible_partitions(Selection& selection, const std::vector<bool>& named_as_one) {
  std::map<std::string, std::vector<std::string>> labels;
  for (size_t i = 0; i < selection.systems.size(); ++i) {
    if (named_as_one[i]) continue;
    Run run = selection.runs[selection.systems[i].runs[0]];
    if (!run.has_config) continue;
    run.settings.erase(kPairsKey);
    labels[settings_key(run)].push_back(selection.systems[i].label);
  }
  for (const auto& [key, same] : labels)
    if (same.size() > 1)
      selection.notes.push_back(
          fmt::format("{} differ in train.pairs only. If they are the partitions of one system, "
                      "name them together: LABEL=RUN,RUN,...",
                      fmt::join(same, " and ")));
}

size_t count_results(const Selection& selection) {
  size_t count = 0;
  for (const Run& run : selection.runs) count += run.results.size();
  return count;
}

}  // namespace

std::vector<std::string> Selection::differing_settings() const {
  std::vector<size_t> all;
  for (const System& system : systems) all.insert(all.end(), system.runs.begin(), system.runs.end());
  return differing(runs, all);
}

Selection select_systems(const std::vector<std::string>& objects, const ReadOptions& options) {
  std::vector<Object> parsed;
  std::vector<std::vector<std::string>> paths;
  int64_t total = 0;
  std::set<std::string> labels;
  for (const std::string& text : objects) {
    parsed.push_back(parse_object(text));
    if (!parsed.back().label.empty() && !labels.insert(parsed.back().label).second)
      throw UserError(ExitCode::kUsage, "the label '" + parsed.back().label +
                                            "' is given twice: name all runs of one " +
                                            "system together, as LABEL=RUN,RUN");
    std::set<std::string> found;
    for (const std::string& name : parsed.back().names)
      for (const std::string& path : find_runs(name)) found.insert(path);
    paths.emplace_back(found.begin(), found.end());
    total += std::ssize(paths.back());
  }
  Selection selection;
  std::vector<bool> named_as_one;
  Progress progress("read results", total, "runs");
  for (size_t i = 0; i < parsed.size(); ++i) {
    std::map<std::string, size_t> by_settings;  // index of the system
    std::vector<size_t> members;
    for (const std::string& path : paths[i]) {
      Run run = read_run(path, options, selection.problems);
      progress.advance();
      if (run.results.empty()) continue;
      members.push_back(selection.runs.size());
      selection.runs.push_back(std::move(run));
      const std::string key = parsed[i].is_one_system ? "" : settings_key(selection.runs.back());
      const auto [place, is_new] = by_settings.try_emplace(key, selection.systems.size());
      if (is_new) {
        selection.systems.push_back({parsed[i].label, {}});
        named_as_one.push_back(parsed[i].is_one_system);
      }
      selection.systems[place->second].runs.push_back(members.back());
    }
    if (parsed[i].is_one_system) require_one_system(parsed[i], selection.runs, members);
  }
  progress.finish();
  if (count_results(selection) == 0)
    throw UserError(ExitCode::kBadData,
                    selection.problems.empty()
                        ? "the runs hold no results of the split " + options.split + ": hyperx evaluate writes them"
                        : fmt::format("no result could be read; the first of {} problems: {}",
                                      selection.problems.size(), text_of(selection.problems[0])));
  drop_repeated_seeds(selection);
  name_systems(selection);
  note_possible_partitions(selection, named_as_one);
  return selection;
}

}  // namespace hyperx::report
