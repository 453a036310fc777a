#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "app/commands.h"
#include "common/config/make_option.h"
#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "model/encoder/encoder_spec.h"
#include "model/options.h"
#include "sweep/collect.h"
#include "sweep/list_formats.h"
#include "sweep/lock_sweep.h"
#include "sweep/pool.h"
#include "sweep/row_set.h"
#include "sweep/status_report.h"
#include "sweep/submit.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;

sweep::CommandSpecs command_specs() { return {train_command().spec, evaluate_command().spec}; }

// The only object after the sub-word that is no argument for sbatch.
const std::string& object_of(const CommandLine& line, size_t place, const char* what) {
  if (line.objects.size() <= place)
    throw UserError(ExitCode::kUsage, "name " + std::string(what) + "; `hyperx sweep --help` shows the command lines");
  return line.objects[place];
}

void require_objects(const CommandLine& line, size_t count) {
  if (line.objects.size() > count)
    throw UserError(ExitCode::kUsage,
                    "'" + line.objects[count] + "': one argument too many for `hyperx sweep " + line.objects[0] + "`");
}

std::vector<int64_t> rows_of(const CommandLine& line, const sweep::Plan& plan) {
  if (line.has_flag("row")) return {plan.find(line.flag("row"))};
  if (line.has_flag("rows")) return sweep::parse_row_set(line.flag("rows"), plan.size(), "--rows");
  std::vector<int64_t> rows;
  for (int64_t row = 1; row <= plan.size(); ++row) rows.push_back(row);
  return rows;
}

// Said at once, and no error: data may be prepared after a sweep is planned.
void warn_of_missing(const sweep::Expansion& expansion, const sweep::RowMaker& maker, const std::string& sweep) {
  std::set<std::string> missing;
  for (const char* key : {"data.corpus", "model.encoder", "train.init_from"}) {
    const auto place = std::find(maker.keys().begin(), maker.keys().end(), key) - maker.keys().begin();
    for (const sweep::Row& row : expansion.rows) {
      const std::string value = row.values[static_cast<size_t>(place)];
      const std::string path = config::path_of_stored(model::encoder_folder(value), sweep + "/rows");
      std::error_code error;
      if (!value.empty() && !fs::exists(path, error)) missing.insert(std::string(key) + " = " + path);
    }
  }
  for (const std::string& each : missing) log::warning("{}: there is no such folder yet", each);
}

void print_expansion(const sweep::Expansion& expansion) {
  constexpr size_t kShown = 5;
  if (expansion.skipped > 0) std::cout << expansion.skipped << " combinations are left out by [when ...] skip = yes\n";
  if (expansion.equal_rows.empty()) return;
  std::cout << expansion.equal_rows.size() << " combinations are equal to earlier rows and left out:\n";
  for (size_t i = 0; i < std::min(kShown, expansion.equal_rows.size()); ++i)
    std::cout << "  " << expansion.equal_rows[i] << "\n";
  if (expansion.equal_rows.size() > kShown) std::cout << "  and " << expansion.equal_rows.size() - kShown << " more\n";
}

int run_plan(const CommandLine& line) {
  const std::string& path = object_of(line, 1, "a sweep file");
  require_objects(line, 2);
  if (!line.has_flag("output"))
    throw UserError(ExitCode::kUsage, "name the folder of the sweep with --output, such as --output sweeps/" +
                                          fs::path(path).stem().string());
  const std::string folder = line.flag("output");
  const sweep::CommandSpecs specs = command_specs();
  const sweep::SweepFile file = sweep::read_sweep_file(model::options(), specs, path);
  const sweep::RowMaker maker(model::options(), specs, folder, ".");
  const sweep::Expansion expansion = maker.expand(file);
  const sweep::Plan plan = sweep::write_plan(folder, file, maker, expansion);
  std::cout << plan.folder << ": " << plan.size() << " rows (rows.tsv lists them)";
  for (size_t i = 0; i < plan.varying.size(); ++i) std::cout << (i == 0 ? "; varying: " : ", ") << plan.varying[i];
  std::cout << "\n";
  print_expansion(expansion);
  for (const sweep::Evaluation& each : plan.evaluations)
    std::cout << "each row is evaluated with " << each.text() << "\n";
  warn_of_missing(expansion, maker, plan.folder);
  return 0;
}

int run_extend(const CommandLine& line) {
  const std::string& folder = object_of(line, 1, "the sweep");
  const std::string& path = object_of(line, 2, "a sweep file");
  require_objects(line, 3);
  const auto lock = [&] {
    sweep::read_plan(folder);  // an error must not make a lock
    return sweep::lock_sweep(folder);
  }();
  const sweep::Plan plan = sweep::read_plan(folder);
  const sweep::CommandSpecs specs = command_specs();
  const sweep::SweepFile file = sweep::read_sweep_file(model::options(), specs, path);
  const sweep::RowMaker maker(model::options(), specs, plan.folder, plan.folder + "/" + plan.project);
  const sweep::Expansion expansion = maker.expand(file);
  const sweep::Extended result = sweep::extend_plan(plan, file, maker, expansion);
  std::cout << plan.folder << ": " << result.added << " rows added";
  if (result.added > 0) std::cout << ", " << result.kept + 1 << " to " << result.kept + result.added;
  std::cout << "; rows 1 to " << result.kept << " keep their numbers\n";
  if (result.only_before > 0)
    std::cout << result.only_before << " of them are not in " << path << " (any more) and stay in the sweep\n";
  if (result.evaluates_differently)
    std::cout << "[evaluate] is another one: rows that were evaluated by the former count as finished again\n";
  print_expansion(expansion);
  warn_of_missing(expansion, maker, plan.folder);
  return 0;
}

int run_list(const CommandLine& line) {
  const sweep::Plan plan = sweep::read_plan(object_of(line, 1, "the sweep"));
  require_objects(line, 2);
  const std::vector<int64_t> rows = rows_of(line, plan);
  const std::string format = line.flag("format", "lines"), output = line.flag("output");
  if (format == "row") {
    if (output.empty()) throw UserError(ExitCode::kUsage, "--format row writes a folder: name it with --output");
    sweep::write_row_project(plan, rows, output);
  } else {
    const std::string text = sweep::list_rows(plan, rows, format);
    if (output.empty()) {
      std::cout << text;
      return 0;
    }
    write_file_atomically(output, text);
  }
  std::cout << output << ": " << rows.size() << " rows\n";
  return 0;
}

sweep::Only only_of(const CommandLine& line) {
  const std::string only = line.flag("only", "all");
  if (only != "all" && only != "train" && only != "evaluate")
    throw UserError(ExitCode::kUsage, "--only '" + only + "': it is train or evaluate");
  return only == "all" ? sweep::Only::kAll : only == "train" ? sweep::Only::kTrain : sweep::Only::kEvaluate;
}

int run_rows(const CommandLine& line) {
  const sweep::Plan plan = sweep::read_plan(object_of(line, 1, "the sweep"));
  require_objects(line, 2);
  sweep::PoolOptions options;
  options.only = only_of(line);
  options.ranks = sweep::Ranks::of(line.has_flag("ranks") ? line.count_flag("ranks", 1) : 0);
  options.jobs = line.count_flag("jobs", 1);
  if (!line.has_flag("row")) return sweep::run_pool(plan, rows_of(line, plan), options);
  for (const char* other : {"rows", "jobs"})
    if (line.has_flag(other))
      throw UserError(ExitCode::kUsage, "--row runs one row; it does not go with --" + std::string(other));
  return sweep::run_row(plan, plan.find(line.flag("row")), options);
}

int run_submit(const CommandLine& line) {
  const sweep::Plan plan = sweep::read_plan(object_of(line, 1, "the sweep"));
  const bool has_dashes = std::find(line.arguments.begin(), line.arguments.end(), "--") != line.arguments.end();
  if (!has_dashes) require_objects(line, 2);
  sweep::SubmitOptions options;
  options.failed = line.has_flag("failed");
  options.pending = line.has_flag("pending");
  if (line.has_flag("rows")) options.rows = rows_of(line, plan);
  if (line.has_flag("max")) options.most = line.count_flag("max", 1);
  options.canary = line.has_flag("canary");
  options.dry_run = line.has_flag("dry-run");
  options.script = line.flag("script", sweep::find_script("cluster/submit"));
  if (options.script.empty())
    throw UserError(ExitCode::kNoInput, "cluster/submit is not near " + sweep::this_program() +
                                            ": name the script that calls sbatch with --script");
  options.arguments.assign(line.objects.begin() + 2, line.objects.end());
  return sweep::submit(plan, options);
}

int run_status(const CommandLine& line) {
  const sweep::Plan plan = sweep::read_plan(object_of(line, 1, "the sweep"));
  require_objects(line, 2);
  const sweep::Submissions submissions = sweep::Submissions::read(plan);
  std::vector<sweep::RowStatus> statuses = sweep::status_of_all(plan, submissions);
  if (line.has_flag("slurm")) sweep::add_slurm(plan, submissions, statuses);
  if (line.has_flag("json"))
    std::cout << sweep::status_json(plan, statuses).dump(1, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  else
    sweep::print_status(plan, statuses, line.has_flag("all"));
  return 0;
}

int run_collect(const CommandLine& line) {
  const sweep::Plan plan = sweep::read_plan(object_of(line, 1, "the sweep"));
  require_objects(line, 2);
  const sweep::ScoreTable table =
      sweep::collect_scores(plan, sweep::status_of_all(plan, sweep::Submissions::read(plan)));
  if (!line.has_flag("output")) {
    std::cout << table.csv;
    return 0;
  }
  write_file_atomically(line.flag("output"), table.csv);
  std::cout << line.flag("output") << ": " << plan.size() << " rows, " << table.scored << " of them with scores\n";
  return 0;
}

struct SubWord {
  const char* name;
  std::vector<std::string> flags;
  int (*run)(const CommandLine&);
};

std::vector<SubWord> sub_words() {
  return {{"plan", {"output"}, run_plan},
          {"extend", {}, run_extend},
          {"list", {"format", "row", "rows", "output"}, run_list},
          {"run", {"row", "rows", "jobs", "ranks", "only"}, run_rows},
          {"submit", {"failed", "pending", "rows", "max", "canary", "dry-run", "script"}, run_submit},
          {"status", {"all", "json", "slurm"}, run_status},
          {"collect", {"output"}, run_collect}};
}

int run_sweep(const CommandLine& line) {
  std::vector<std::string> names;
  for (const SubWord& each : sub_words()) names.emplace_back(each.name);
  const std::string word = line.objects.empty() ? "" : line.objects[0];
  for (const SubWord& each : sub_words()) {
    if (each.name != word) continue;
    for (const auto& [flag, value] : line.flags)
      if (std::find(each.flags.begin(), each.flags.end(), flag) == each.flags.end())
        throw UserError(ExitCode::kUsage, "--" + flag + " is no option of `hyperx sweep " + word +
                                              "`; `hyperx sweep --help` tells whose it is");
    return each.run(line);
  }
  const std::string nearest = nearest_word(word, names);
  throw UserError(ExitCode::kUsage,
                  (word.empty() ? "say what to do" : "unknown word '" + word + "'") +
                      (nearest.empty() || word.empty() ? ": plan, extend, list, run, submit, status or collect"
                                                       : "; did you mean '" + nearest + "'?"));
}

}  // namespace

Command sweep_command() {
  CommandSpec spec;
  spec.name = "sweep";
  spec.usage =
      "hyperx sweep plan FILE --output SWEEP\n"
      "       hyperx sweep run SWEEP --row I | [--rows 1,4-7] --jobs N [--ranks N] [--only train|evaluate]\n"
      "       hyperx sweep submit SWEEP [--failed] [--pending] [--rows 1,4-7] [--max N] [--canary] [--dry-run] [-- "
      "SBATCH OPTION...]\n"
      "       hyperx sweep status SWEEP [--all] [--json] [--slurm]\n"
      "       hyperx sweep collect SWEEP [--output FILE.csv]\n"
      "       hyperx sweep extend SWEEP FILE\n"
      "       hyperx sweep list SWEEP --format lines|array|json|folder|snakemake|row [--rows 1,4-7] [--output FILE]";
  spec.summary = "plans, runs and collects many runs: grids, seeds, ablations";
  spec.help =
      "plan checks every row of a sweep file and freezes them in the folder SWEEP. A row has a number, and a name "
      "that\n"
      "follows from its settings; SWEEP/runs/NAME is its run folder. run trains rows and evaluates them: a row that "
      "is\n"
      "done ends at once, one that was stopped continues. submit hands rows to SLURM, list to other schedulers. "
      "status\n"
      "reads the run folders; collect writes one table of all scores.\n\n"
      "Exit codes of run: 0 all done; 75 rows were saved by a signal, run the same line again; else as train.\n\n"
      "Example (configs/sweeps/adapter_sizes.conf shows what a sweep file can say):\n"
      "  hyperx sweep plan configs/sweeps/adapter_sizes.conf --output sweeps/sizes\n"
      "  hyperx sweep run sweeps/sizes --jobs 4\n"
      "  hyperx sweep collect sweeps/sizes --output sizes.csv";
  spec.flags = {
      {"output", "PATH", "plan: the new folder; collect, list: file to write instead of standard output"},
      {"row", "I", "run, list: a row's number, the first digits of its digest, or its entry of list --format json"},
      {"rows", "1,4-7", "run, submit, list: only these rows; default: all"},
      {"jobs", "N", "run: rows at the same time, which share this machine's cores; default: 1"},
      {"ranks", "N", "run: start each row with launch/run -n N"},
      {"only", "train|evaluate", "run: this stage only, for batch scripts with one srun per stage"},
      {"failed", "", "submit: rows that failed"},
      {"pending", "", "submit: rows that are not done and did not fail (the default without --failed)"},
      {"max", "N", "submit: as many that at most N rows of the sweep wait or run"},
      {"canary", "", "submit: the others wait until the first row has succeeded"},
      {"dry-run", "", "submit: print what would be done"},
      {"script", "FILE", "submit: what calls sbatch; default: cluster/submit"},
      {"all", "", "status: list every row"},
      {"json", "", "status: as JSON"},
      {"slurm", "", "status: also ask squeue and sacct"},
      {"format", "FORMAT", "list: lines, array, json, folder, snakemake or row"}};
  return {spec, run_sweep};
}

}  // namespace hyperx
