#include <filesystem>
#include <iostream>
#include <set>

#include "app/commands.h"
#include "app/run_settings.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/text_table.h"
#include "trainer/checkpoint/prune_plan.h"
#include "trainer/run/find_runs.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;

std::string bytes_text(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

int small_count(const CommandLine& line, const std::string& flag, int fallback, int least) {
  if (least == 0 && line.flag(flag) == "0") return 0;
  const int64_t count = line.count_flag(flag, fallback);
  if (count > 1'000'000) throw UserError(ExitCode::kUsage, "--" + flag + " " + line.flag(flag) + ": at most 1000000");
  return static_cast<int>(count);
}

constexpr int kNeighbourDepth = 3;  // folders below the one that holds a named run, in which others are looked for

void add_runs_in(const fs::path& folder, int depth, std::vector<std::string>& all) {
  std::error_code unknown;
  for (fs::directory_iterator entry(folder, unknown), end; !unknown && entry != end; entry.increment(unknown)) {
    std::error_code gone;
    if (!entry->is_directory(gone) || entry->path().filename().string().starts_with(".")) continue;
    if (train::is_run_folder(entry->path().string()))
      all.push_back(entry->path().string());
    else if (depth > 1 && !entry->is_symlink(gone))
      add_runs_in(entry->path(), depth - 1, all);
  }
}

// Runs that lie next to the named ones may use their checkpoints, too.
std::vector<std::string> with_neighbours(const std::vector<std::string>& runs) {
  std::vector<std::string> all = runs;
  std::set<std::string> folders, known;
  for (const std::string& run : runs) {
    std::error_code unknown;
    const fs::path folder = fs::weakly_canonical(run, unknown).parent_path();
    if (!unknown && folders.insert(folder.string()).second) add_runs_in(folder, kNeighbourDepth, all);
  }
  std::erase_if(all, [&](const std::string& run) {
    std::error_code unknown;
    return !known.insert(fs::weakly_canonical(run, unknown).string()).second;
  });
  return all;
}

std::string runs_text(int64_t count) { return std::to_string(count) + (count == 1 ? " run" : " runs"); }

void print_plan(const train::PrunePlan& plan) {
  if (!plan.untouched.empty()) {
    std::cout << plan.run << ": left as it is: " << plan.untouched << "\n";
    return;
  }
  std::cout << plan.run << " (" << plan.state << ")\n";
  TextTable table({"", "checkpoint", "size", "why"});
  for (const train::PruneEntry& entry : plan.entries) {
    std::string why = entry.what;
    for (const std::string& reason : entry.reasons) why += (why.empty() ? "" : ", ") + reason;
    if (entry.optimizer_bytes > 0) why += "; without its optimizer (" + bytes_text(entry.optimizer_bytes) + ")";
    const std::string name = fs::relative(entry.path, plan.run).string();
    table.add({entry.goes() ? "goes" : "stays", name, bytes_text(entry.bytes), why});
  }
  table.print(std::cout);
}

struct Totals {
  int64_t runs = 0, goes = 0, stays = 0, optimizers = 0, bytes = 0, bytes_kept = 0, untouched = 0, unchanged = 0;

  void add(const train::PrunePlan& plan) {
    ++runs;
    if (!plan.untouched.empty()) ++untouched;
    if (plan.untouched.empty() && !plan.removes_anything()) ++unchanged;
    for (const train::PruneEntry& entry : plan.entries) {
      ++(entry.goes() ? goes : stays);
      if (entry.optimizer_bytes > 0) ++optimizers;
      if (!entry.goes()) bytes_kept += entry.bytes - entry.optimizer_bytes;
    }
    bytes += plan.bytes_removed();
  }
  std::string text() const {
    std::string text = runs_text(runs) + ": " + std::to_string(goes) + (goes == 1 ? " folder goes" : " folders go");
    if (optimizers > 0) text += ", and the optimizers of " + std::to_string(optimizers);
    text += " (" + bytes_text(bytes) + "), " + std::to_string(stays) + " stay (" + bytes_text(bytes_kept) + ")";
    if (unchanged > 0) text += "; in " + runs_text(unchanged) + " nothing goes";
    if (untouched > 0) text += "; " + runs_text(untouched) + " left as they are";
    return text;
  }
};

// Returns the exit code: that of the first run in which something failed.
int carry_out_all(const std::vector<train::PrunePlan>& plans, const train::PruneRules& rules,
                  const train::CheckpointUses& uses, int64_t bytes) {
  int64_t removed = 0;
  int code = 0;
  const auto failed = [&](const std::exception& error, ExitCode kind) {
    log::error("{}", error.what());
    if (code == 0) code = static_cast<int>(kind);
  };
  Progress progress("remove", bytes, "bytes");
  for (const train::PrunePlan& plan : plans) {
    if (!plan.untouched.empty() || !plan.removes_anything()) continue;
    try {
      removed += train::carry_out(plan, rules, uses);
    } catch (const UserError& error) {
      failed(error, error.code());
    } catch (const SystemError& error) {
      failed(error, error.code());
    }
    progress.update(removed);
  }
  progress.finish();
  std::cout << bytes_text(removed) << " removed\n";
  return code;
}

int run_prune(const CommandLine& line) {
  train::PruneRules rules;
  rules.keep_last = small_count(line, "keep-last", rules.keep_last, 1);
  rules.keep_best = small_count(line, "keep-best", rules.keep_best, 0);
  rules.scored = line.has_flag("scored");
  rules.optimizer = line.has_flag("optimizer");
  rules.set_aside = line.has_flag("set-aside");
  const train::FoundRuns found = train::find_runs(line.objects);
  for (const auto& [folder, reason] : found.unreadable) log::warning("{}: {}", folder, reason);
  const train::CheckpointUses uses = find_uses(with_neighbours(found.runs));
  std::vector<train::PrunePlan> plans;
  Totals totals;
  Progress progress("look at", std::ssize(found.runs), "runs");
  for (const std::string& run : found.runs) {
    plans.push_back(train::plan_prune(train::RunDir{run}, rules, uses));
    totals.add(plans.back());
    progress.advance();
  }
  progress.finish();
  for (const train::PrunePlan& plan : plans)
    if (plans.size() == 1 || !plan.untouched.empty() || plan.removes_anything()) print_plan(plan);
  std::cout << totals.text() << "\n";
  if (!line.has_flag("yes")) {
    std::cout << (totals.bytes > 0 || totals.goes > 0 ? "Nothing is removed yet: add --yes to remove what goes.\n"
                                                      : "");
    return 0;
  }
  return carry_out_all(plans, rules, uses, totals.bytes);
}

}  // namespace

Command prune_command() {
  CommandSpec spec;
  spec.name = "prune";
  spec.usage = "hyperx prune RUN|FOLDER... [--keep-last N] [--keep-best N] [--yes]";
  spec.summary = "removes old checkpoints; without --yes it only shows which";
  spec.help =
      "A FOLDER is searched for runs. Checkpoints stay that are among the newest or the best, that `latest` or `best`\n"
      "name, that have results, or that another run in the same folders starts from or is built on. A run that is\n"
      "queued or running is left as it is. Before anything is removed, the checkpoint that the run would resume from\n"
      "is compared with its digests. Exits with 65 if that one is damaged, 73 if a run has started meanwhile; other\n"
      "runs are pruned all the same.\n\n"
      "Examples:\n"
      "  hyperx prune runs --keep-last 1\n"
      "  hyperx prune runs --keep-last 1 --optimizer --yes";
  spec.flags = {{"keep-last", "N", "newest checkpoints with an optimizer to keep, at least 1; 2 if not given"},
                {"keep-best", "N", "best-scored checkpoints to keep; 1 if not given"},
                {"scored", "", "also remove checkpoints that have results; the results stay"},
                {"optimizer", "",
                 "also remove the optimizers of finished runs: such a run can be evaluated and started from, but not "
                 "be made longer"},
                {"set-aside", "", "also remove what was set aside: *.damaged, *.diverged, *.before"},
                {"yes", "", "remove what goes"}};
  return {spec, run_prune};
}

}  // namespace hyperx
