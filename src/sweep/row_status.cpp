#include "sweep/row_status.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_state.h"

namespace hyperx::sweep {
namespace {

constexpr size_t kMostThreads = 8;  // a network file system answers several questions at once

std::string note_path(const Plan& plan, int64_t row, const Evaluation& evaluation) {
  return plan.run_folder(row) + "/results/evaluated-" + evaluation.split + ".json";
}

// null: no note, or one of other settings.
nlohmann::json read_note(const Plan& plan, int64_t row, const Evaluation& evaluation) {
  const std::string path = note_path(plan, row, evaluation);
  if (kind_of(path) == PathKind::kNothing) return nullptr;
  nlohmann::json note = parse_json_or_discard(read_file(path));
  const bool fits = note.is_object() && note.contains("settings") && note["settings"] == evaluation.text();
  return fits ? note : nlohmann::json();
}

RowState state_of(const std::string& word) {
  if (word == "finished") return RowState::kFinished;
  if (word == "failed") return RowState::kFailed;
  if (word == "saved") return RowState::kSaved;
  return word == "lost" ? RowState::kLost : RowState::kRunning;  // queued: its start is under way
}

RowStatus read_status(const Plan& plan, int64_t row) {
  const train::RunDir run{plan.run_folder(row)};
  RowStatus status;
  if (kind_of(run.state()) == PathKind::kNothing) return status;
  const train::RunState stored = train::read_run_state(run);
  status.state = state_of(train::observed_state(run, stored));
  status.step = stored.step;
  status.steps = stored.steps;
  status.started = stored.started;
  status.heartbeat = stored.heartbeat;
  if (status.state == RowState::kFailed && stored.failure) {
    status.reason = stored.failure->reason;
    status.place = "rank " + std::to_string(stored.failure->rank) + " on " + stored.failure->host + ", step " +
                   std::to_string(stored.failure->step);
  }
  const auto evaluated = [&](const Evaluation& each) { return is_evaluated(plan, row, each); };
  if (status.state == RowState::kFinished && !plan.evaluations.empty() &&
      std::all_of(plan.evaluations.begin(), plan.evaluations.end(), evaluated))
    status.state = RowState::kEvaluated;
  return status;
}

}  // namespace

const char* word_of(RowState state) {
  static constexpr const char* kWords[kRowStates] = {"pending", "submitted", "running",  "saved",
                                                     "lost",    "failed",    "finished", "evaluated"};
  return kWords[static_cast<int>(state)];
}

RowStatus status_of(const Plan& plan, int64_t row) {
  try {
    RowStatus status = read_status(plan, row);
    // The run may have ended between the two looks at it: then its last state is in the file by now.
    return status.state == RowState::kLost ? read_status(plan, row) : status;
  } catch (const UserError& error) {  // damaged, or cannot be read now: the others can still be told
    RowStatus status;
    status.state = RowState::kFailed;
    status.reason = error.what();
    return status;
  }
}

std::vector<RowStatus> status_of_all(const Plan& plan, const Submissions& submissions) {
  std::vector<RowStatus> all(plan.rows.size());
  std::atomic<int64_t> next = 1;
  const auto work = [&] {
    for (int64_t row; (row = next++) <= plan.size();) all[static_cast<size_t>(row - 1)] = status_of(plan, row);
  };
  std::vector<std::jthread> threads;
  const size_t count = std::clamp<size_t>(plan.rows.size() / 64, 1, kMostThreads);
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  threads.clear();
  for (int64_t row = 1; row <= plan.size(); ++row) {
    RowStatus& status = all[static_cast<size_t>(row - 1)];
    const Submission* const last = submissions.last_of(row);
    const bool waits = status.state != RowState::kRunning && !status.done(plan);
    if (last != nullptr && waits && last->time > status.heartbeat) status.state = RowState::kSubmitted;
  }
  return all;
}

bool is_evaluated(const Plan& plan, int64_t row, const Evaluation& evaluation) {
  return !read_note(plan, row, evaluation).is_null();
}

std::optional<int64_t> evaluated_step(const Plan& plan, int64_t row, const Evaluation& evaluation) {
  const nlohmann::json note = read_note(plan, row, evaluation);
  if (!note.is_object() || !note.contains("step") || !note["step"].is_number_integer()) return std::nullopt;
  return note["step"].get<int64_t>();
}

void note_evaluated(const Plan& plan, int64_t row, const Evaluation& evaluation) {
  const std::string run = plan.run_folder(row);
  std::vector<std::string> scored;  // checkpoints
  for (const std::string& name : names_in(run + "/results"))
    if (train::step_of_name(name) && kind_of(run + "/results/" + name + "/" + evaluation.split) == PathKind::kFolder)
      scored.push_back(name);
  // Of several, the one that `evaluate` takes.
  if (scored.size() != 1) scored = {std::filesystem::path(train::resolve_checkpoint(run)).filename().string()};
  const nlohmann::json note = {{"settings", evaluation.text()},
                               {"step", train::step_of_name(scored[0]).value_or(-1)},
                               {"time", train::utc_time()}};
  make_folders(run + "/results");
  write_file_atomically(note_path(plan, row, evaluation), note.dump(1) + "\n");
}

}  // namespace hyperx::sweep
