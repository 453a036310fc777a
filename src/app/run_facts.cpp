#include "app/run_facts.h"

#include <algorithm>
#include <functional>

#include "app/run_settings.h"
#include "app/run_status.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "common/json.h"
#include "common/read_error.h"
#include "common/text_table.h"
#include "data/tasks/result_file.h"
#include "model/options.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_list.h"
#include "trainer/run/find_runs.h"
#include "trainer/run/run_dir.h"

namespace hyperx {
namespace {

using nlohmann::json;
using train::RunDir;

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string text;
  for (const json& item : value) text += (text.empty() ? "" : ", ") + text_of(item);
  return text;
}

// Folders are compared by the digests of what is in them.
bool is_place(const config::Option& option) { return option.paths != config::Paths::kNone && !names_weights(option); }

void read_settings(const RunDir& run, RunFacts& facts) {
  const Config config = read_run_settings(run.path);
  for (const config::Option& option : model::options().options) {
    if (option.key.starts_with("run.")) continue;  // of every run its own
    const bool affects = (option.resume != config::Resume::kFree && !is_place(option)) || names_weights(option);
    facts.facts[{affects ? FactKind::kSetting : FactKind::kFreeSetting, option.key}] = option.get(config);
  }
}

// A run may have been started several times: "A, then B" where the starts differ.
void read_environment(const RunDir& run, RunFacts& facts) {
  const std::string path = run.environment();
  const json starts = parse_json(read_file(path), path);
  for (const JsonValue& start : JsonValue(path, starts).items()) {
    const auto add = [&](FactKind kind, const std::string& key, const std::string& value) {
      std::string& known = facts.facts[{kind, key}];
      if (known.empty())
        known = value;
      else if (known != value && !known.ends_with(", then " + value))
        known += ", then " + value;
    };
    for (const auto& [key, value] : start.fields()) {
      if (key == "hyperx") add(FactKind::kProgram, "version", text_of(value.raw()));
      for (const char* of_machine : {"host", "kernel", "cpu", "hardware_threads"})
        if (key == of_machine) add(FactKind::kMachine, key, text_of(value.raw()));
      if (key == "build" || key == "resolved" || key == "variables")
        for (const auto& [name, fact] : value.fields())
          if (key != "build" || (name != "version" && name != "revision"))
            add(FactKind::kMachine, key == "variables" ? "$" + name : name, text_of(fact.raw()));
    }
  }
}

void read_checkpoint(const RunDir& run, RunFacts& facts) {
  const std::vector<int64_t> steps = train::steps_in(run.checkpoints());
  if (steps.empty()) throw UserError(ExitCode::kNoInput, run.checkpoints() + ": holds no checkpoint");
  const std::string folder = run.checkpoints() + "/" + train::checkpoint_name(steps.front());
  const std::string path = folder + "/" + train::kModelFile;
  const json info = parse_json(h5::File::open(path).read_text("info"), path + ": info");
  const JsonValue record(path, info);
  const auto set = [&](const std::string& key, const std::string& value) {
    facts.facts[{FactKind::kData, key}] = value;
  };
  set("encoder SHA-256", record["encoder"]["sha256"].text());
  set("vocabulary SHA-256", record["tokenizer_sha256"].text());
  if (record.has("tasks")) set("tasks and labels", record["tasks"].raw().dump());
  if (record.has("pairs")) set("trained pairs", text_of(record["pairs"].raw()));
  set("label position", record.text("label_position", "first"));
  if (record.has("needed_runs"))
    for (const JsonValue& each : record["needed_runs"].items())
      set("built on, of " + text_of(each["languages"].raw()), "XXH128 " + each["xxh128"].text());
  const std::string optimizer = folder + "/" + train::kOptimizerFile;
  if (kind_of(optimizer) != PathKind::kFile)
    throw UserError(ExitCode::kNoInput, folder + ": has no optimizer any more, which recorded the corpus' digest");
  const json state = parse_json(h5::File::open(optimizer).read_text("state"), optimizer + ": state");
  const JsonValue of_training(optimizer, state);
  if (of_training.has("settings")) set("corpus XXH128", of_training["settings"]["corpus_xxh128"].text());
}

void read_progress(const RunDir& run, RunFacts& facts) {
  const RunStatus status = status_of(run.path);
  const auto set = [&](const char* key, const std::string& value) { facts.facts[{FactKind::kProgress, key}] = value; };
  set("state", status.state);
  if (status.state == "damaged") throw UserError(ExitCode::kBadData, status.reason);
  set("step", std::to_string(status.stored.step) + " of " + std::to_string(status.stored.steps));
  if (status.stored.best_score) set("best score", number_text(*status.stored.best_score));
  if (status.metrics.last_step.contains("loss")) set("last loss", text_of(status.metrics.last_step["loss"]));
  facts.facts[{FactKind::kMachine, "ranks"}] = std::to_string(status.stored.world_size);
}

void read_scores(const RunDir& run, RunFacts& facts) {
  for (const std::string& name : names_in(run.path + "/results")) {
    const std::optional<int64_t> step = train::step_of_name(name);
    if (!step) continue;
    for (const std::string& split : names_in(run.path + "/results/" + name))
      for (const std::string& file : names_in(run.results(*step, split))) {
        if (!file.ends_with(".json")) continue;
        const data::EvaluationResult result = data::read_result(run.results(*step, split) + "/" + file);
        Score& score = facts.scores[{split, result.pair.name(), result.main_metric}];
        if (*step >= score.step) score = {result.main_value(), *step};
      }
  }
}

}  // namespace

const std::vector<FactKindRow>& fact_kinds() {
  static const std::vector<FactKindRow> rows = {
      {FactKind::kSetting, "settings", "settings that affect the result", true},
      {FactKind::kData, "data", "data and encoder", true},
      {FactKind::kProgram, "program", "program", true},
      {FactKind::kMachine, "machine", "machine and libraries (they change at most the last bits)", false},
      {FactKind::kFreeSetting, "free_settings", "settings that do not affect the result", false},
      {FactKind::kProgress, "progress", "progress", false},
  };
  return rows;
}

RunFacts read_run_facts(const std::string& run) {
  if (!train::is_run_folder(run)) throw UserError(ExitCode::kNoInput, run + ": no such run folder");
  RunFacts facts;
  facts.run = run;
  const std::vector<std::function<void(const RunDir&, RunFacts&)>> readers = {
      read_settings, read_environment, read_checkpoint, read_progress, read_scores};
  for (const auto& read : readers) {
    try {
      read(RunDir{run}, facts);
    } catch (const std::runtime_error& error) {  // UserError, SystemError of HDF5
      facts.not_known.emplace_back(error.what());
    }
  }
  return facts;
}

}  // namespace hyperx
