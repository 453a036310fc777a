#include "sweep/status_report.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "common/log.h"
#include "common/progress.h"
#include "common/text_table.h"
#include "sweep/slurm.h"
#include "trainer/run/run_dir.h"

namespace hyperx::sweep {
namespace {

constexpr size_t kRateRows = 100;    // the rate is that of the last so many
constexpr int64_t kShownRows = 20;   // of each state, without --all
constexpr size_t kShownDigits = 12;  // of a digest
constexpr double kHour = 3600;

// A difference of ages, so that it does not depend on this machine's clock.
double rows_per_second(std::vector<double> ages) {
  if (ages.size() < 2) return 0;
  std::sort(ages.begin(), ages.end());
  ages.resize(std::min(ages.size(), kRateRows));
  const double seconds = ages.back() - ages.front();
  return seconds > 0 ? static_cast<double>(ages.size() - 1) / seconds : 0;
}

bool wants_attention(RowState state) {
  return state == RowState::kRunning || state == RowState::kFailed || state == RowState::kLost ||
         state == RowState::kSaved;
}

void print_rows(const Plan& plan, const std::vector<RowStatus>& statuses, bool all) {
  std::vector<std::string> head = {"row", "digest", "state", "step", "of"};
  head.insert(head.end(), plan.varying.begin(), plan.varying.end());
  head.emplace_back("reason");
  TextTable table(head);
  int64_t shown[kRowStates] = {}, left_out = 0, lines = 0;
  for (int64_t row = 1; row <= plan.size(); ++row) {
    const RowStatus& status = statuses[static_cast<size_t>(row - 1)];
    if (!all && !wants_attention(status.state)) continue;
    if (!all && ++shown[static_cast<int>(status.state)] > kShownRows) {
      ++left_out;
      continue;
    }
    std::vector<std::string> cells = {std::to_string(row), plan.row(row).digest.substr(0, kShownDigits),
                                      word_of(status.state), std::to_string(status.step), std::to_string(status.steps)};
    cells.insert(cells.end(), plan.row(row).values.begin(), plan.row(row).values.end());
    cells.push_back(status.place.empty() ? status.reason : status.place + ": " + status.reason);
    table.add(std::move(cells));
    ++lines;
  }
  if (lines > 0) table.print(std::cout);
  if (left_out > 0) std::cout << "  and " << left_out << " more: --all shows them\n";
}

}  // namespace

SweepProgress progress_of(const Plan& plan, const std::vector<RowStatus>& statuses) {
  SweepProgress progress;
  progress.rows = plan.size();
  std::vector<double> ages;  // of the rows that are done, in seconds
  for (const RowStatus& status : statuses) {
    ++progress.counts[static_cast<int>(status.state)];
    progress.step += status.step;
    progress.steps += status.steps;
    if (!status.done(plan)) continue;
    ++progress.done;
    ages.push_back(train::age_seconds(status.heartbeat));
  }
  const double rate = rows_per_second(std::move(ages));
  progress.rows_per_hour = rate * kHour;
  const bool runs = progress.counts[static_cast<int>(RowState::kRunning)] > 0;
  if (runs && rate > 0) progress.seconds_left = static_cast<double>(progress.rows - progress.done) / rate;
  return progress;
}

void add_slurm(const Plan& plan, const Submissions& submissions, std::vector<RowStatus>& statuses) {
  const Queue queue = read_queue();
  std::set<std::string> jobs;
  for (const Submission& each : submissions.all())
    if (!each.job.empty()) jobs.insert(each.job);
  const auto ended = ended_states({jobs.begin(), jobs.end()});
  for (int64_t row = 1; row <= plan.size(); ++row) {
    RowStatus& status = statuses[static_cast<size_t>(row - 1)];
    const Submission* const last = submissions.last_of(row);
    if (last == nullptr || last->job.empty()) continue;
    const std::string task = last->task(row);
    if (status.state == RowState::kSubmitted && !queue.states.contains(task)) status.state = RowState::kPending;
    const auto found = ended.find(task);
    const bool unexplained = status.state == RowState::kPending || status.state == RowState::kLost;
    if (found != ended.end() && unexplained && status.reason.empty())
      status.reason = "job " + task + " " + found->second;
  }
}

void print_status(const Plan& plan, const std::vector<RowStatus>& statuses, bool all) {
  const SweepProgress progress = progress_of(plan, statuses);
  std::cout << plan.folder << ": " << progress.done << " of " << progress.rows << " rows done";
  if (progress.rows_per_hour > 0) std::cout << fmt::format(" | {} rows/h", number_text(progress.rows_per_hour));
  if (progress.seconds_left) std::cout << " | left " << format_duration(*progress.seconds_left);
  std::cout << "\n ";
  for (int state = 0; state < kRowStates; ++state)
    if (progress.counts[state] > 0)
      std::cout << " " << progress.counts[state] << " " << word_of(static_cast<RowState>(state));
  std::cout << "\n";
  print_rows(plan, statuses, all);
}

nlohmann::ordered_json status_json(const Plan& plan, const std::vector<RowStatus>& statuses) {
  const SweepProgress progress = progress_of(plan, statuses);
  nlohmann::ordered_json counts = nlohmann::ordered_json::object(), rows = nlohmann::ordered_json::array();
  for (int state = 0; state < kRowStates; ++state)
    counts[word_of(static_cast<RowState>(state))] = progress.counts[state];
  for (int64_t row = 1; row <= plan.size(); ++row) {
    const RowStatus& status = statuses[static_cast<size_t>(row - 1)];
    nlohmann::ordered_json values = nlohmann::ordered_json::object();
    for (size_t i = 0; i < plan.varying.size(); ++i) values[plan.varying[i]] = plan.row(row).values[i];
    nlohmann::ordered_json object = {
        {"row", row},           {"digest", plan.row(row).digest}, {"run", plan.run_folder(row)},
        {"values", values},     {"state", word_of(status.state)}, {"step", status.step},
        {"steps", status.steps}};
    if (!status.started.empty()) object["started"] = status.started;
    if (!status.heartbeat.empty()) object["heartbeat"] = status.heartbeat;
    if (!status.place.empty()) object["place"] = status.place;
    if (!status.reason.empty()) object["reason"] = status.reason;
    rows.push_back(std::move(object));
  }
  nlohmann::ordered_json all = {{"sweep", plan.folder},
                                {"rows_done", progress.done},
                                {"rows_all", progress.rows},
                                {"counts", counts},
                                {"rows_per_hour", progress.rows_per_hour}};
  if (progress.seconds_left) all["seconds_left"] = *progress.seconds_left;
  all["rows"] = std::move(rows);
  return all;
}

}  // namespace hyperx::sweep
