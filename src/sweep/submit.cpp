#include "sweep/submit.h"

#include <algorithm>
#include <iostream>
#include <random>
#include <sstream>

#include "common/errors.h"
#include "common/log.h"
#include "common/quoting.h"
#include "sweep/lock_sweep.h"
#include "sweep/process.h"
#include "sweep/row_set.h"
#include "sweep/row_status.h"
#include "sweep/slurm.h"
#include "sweep/submissions.h"
#include "trainer/run/run_dir.h"

namespace hyperx::sweep {
namespace {

std::string new_token() {
  std::random_device random;
  return fmt::format("hyperx-sweep-{:08x}{:08x}", random(), random());
}

// The rows of one array: what remains of `rows` at the front whose numbers fit into one.
struct Array {
  int64_t offset = 0;
  std::vector<int64_t> rows;
};

std::vector<Array> arrays_of(const std::vector<int64_t>& rows, int64_t array_size, bool canary) {
  const int64_t largest = array_size - 1;  // index
  std::vector<Array> arrays;
  for (const int64_t row : rows) {
    const int64_t offset = (row - 1) / largest * largest;
    const bool is_second = canary && arrays.size() == 1;
    if (arrays.empty() || arrays.back().offset != offset || is_second) arrays.push_back({offset, {}});
    arrays.back().rows.push_back(row);
  }
  return arrays;
}

std::vector<int64_t> indices_of(const Array& array) {
  std::vector<int64_t> indices;
  for (const int64_t row : array.rows) indices.push_back(row - array.offset);
  return indices;
}

// Numbers of jobs, such as "12" of "12\n" or "12;cluster\n": the lines that sbatch --parsable prints.
std::vector<std::string> jobs_of(const std::string& output) {
  std::istringstream lines(output);
  std::vector<std::string> jobs;
  for (std::string line; std::getline(lines, line);) {
    const std::string number = line.substr(0, line.find(';'));
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos) jobs.push_back(number);
  }
  return jobs;
}

class Submitter {
 public:
  Submitter(const Plan& plan, const SubmitOptions& options)
      : plan_(plan), options_(options), submissions_(Submissions::read(plan)), queue_(read_queue()) {
    recover();
  }

  int run() {
    std::vector<int64_t> rows = chosen_rows();
    const size_t all = rows.size();
    rows.resize(std::min(all, room()));
    report_left_out();
    if (all == 0) std::cout << "nothing to submit\n";
    std::string canary;
    for (const Array& array : arrays_of(rows, largest_array(), options_.canary)) {
      const std::string job = submit(array, canary);
      if (options_.canary && canary.empty()) canary = job;
    }
    if (rows.size() == all) return 0;
    std::cout << all - rows.size() << " rows remain for a later call: the limits of the queue leave no room for them\n";
    return static_cast<int>(ExitCode::kSavedRunAgain);
  }

 private:
  // A `sweep submit` that was killed after it called sbatch left an array whose number is not recorded.
  void recover() {
    const std::vector<Submission> known = submissions_.all();
    for (Submission each : known) {
      const auto found = queue_.jobs_of_comment.find(each.token);
      if (!each.job.empty() || found == queue_.jobs_of_comment.end()) continue;
      log::warning("rows {} were submitted, beginning with job {}, by a call that was killed before it noted that",
                   row_set_text(each.rows), found->second[0]);
      if (!options_.dry_run) note(each, found->second);
    }
  }

  bool is_queued(int64_t row) const {
    const Submission* const last = submissions_.last_of(row);
    return last != nullptr && !last->job.empty() &&
           (queue_.states.contains(last->task(row)) || queue_.states.contains(last->job));
  }

  std::vector<int64_t> chosen_rows() {
    // As the folders say: a submission that is no longer in the queue came to nothing.
    const std::vector<RowStatus> all = status_of_all(plan_, Submissions());
    const bool pending = options_.pending || !options_.failed;
    std::vector<int64_t> rows;
    for (int64_t row = 1; row <= plan_.size(); ++row) {
      if (is_queued(row)) ++queued_;
      const bool named = options_.rows.empty() || std::binary_search(options_.rows.begin(), options_.rows.end(), row);
      const RowStatus& status = all[static_cast<size_t>(row - 1)];
      if (!named || status.done(plan_)) continue;
      const bool failed = status.state == RowState::kFailed;
      if (is_queued(row))
        ++left_queued_;
      else if (status.state == RowState::kRunning)
        ++left_running_;
      else if (failed ? options_.failed : pending)
        rows.push_back(row);
      else if (failed)
        ++left_failed_;
    }
    return rows;
  }

  void report_left_out() const {
    if (left_queued_ > 0) std::cout << left_queued_ << " rows are in the queue already\n";
    if (left_running_ > 0) std::cout << left_running_ << " rows run outside the queue\n";
    if (left_failed_ > 0) std::cout << left_failed_ << " failed rows are left out: --failed submits them\n";
  }

  // How many rows the limits allow.
  size_t room() const {
    int64_t room = plan_.size();
    if (options_.most) room = std::min(room, *options_.most - queued_);
    if (const auto most = most_jobs(options_.script)) room = std::min(room, *most - std::ssize(queue_.states));
    return static_cast<size_t>(std::max<int64_t>(0, room));
  }

  // Returns the number of the job; of a dry run "JOB".
  std::string submit(const Array& array, const std::string& after) {
    Submission submission{train::utc_time(), new_token(), "", array.offset, array.rows};
    const std::string indices = row_set_text(indices_of(array));
    const std::string sweep = array.offset == 0 ? plan_.folder : make_chunk(plan_, array.offset);
    std::vector<std::string> words = {options_.script, "--sweep", sweep, "--array", indices, "--parsable"};
    if (!after.empty()) words.insert(words.end(), {"--dependency", "afterok:" + after});
    words.insert(words.end(), {"--", "--comment=" + submission.token});
    words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
    if (options_.dry_run) {
      words.insert(words.begin() + 1, "--dry-run");
      std::cout << shell_line(words) << std::endl;
      std::cout << output_of(words).text;
      return "JOB";
    }
    submissions_.write(submission);
    const Output output = output_of(words);
    const std::vector<std::string> jobs = jobs_of(output.text);
    note(submission, jobs);
    if (output.code != 0 || jobs.empty())
      throw UserError(ExitCode::kIo, "rows " + row_set_text(array.rows) + " were not all submitted: `" +
                                         shell_line(words) + "` ended with code " + std::to_string(output.code) +
                                         (output.text.empty() ? "" : " and printed '" + output.text + "'") +
                                         "; its message stands above. What was submitted is noted");
    std::cout << (jobs.size() == 1 ? "job " + jobs[0] : "jobs " + jobs.front() + " to " + jobs.back()) << ": rows "
              << row_set_text(array.rows) << (after.empty() ? "" : ", after the success of job " + after) << std::endl;
    return jobs[0];
  }

  // One job is an array of all rows, or, where the site allows no arrays, there is one for each row.
  void note(Submission submission, const std::vector<std::string>& jobs) {
    const std::vector<int64_t> rows = submission.rows;
    if (jobs.size() == 1) {
      submission.job = jobs[0];
      return submissions_.write(submission);
    }
    const std::string token = submission.token;
    for (size_t i = 0; i < std::min(jobs.size(), rows.size()); ++i) {
      submission.job = jobs[i];
      submission.rows = {rows[i]};
      submission.token = i == 0 ? token : token + "-" + std::to_string(i);  // the first takes the place of the array
      submissions_.write(submission);
    }
  }

  const Plan& plan_;
  const SubmitOptions& options_;
  Submissions submissions_;
  const Queue queue_;
  int64_t queued_ = 0, left_queued_ = 0, left_running_ = 0, left_failed_ = 0;
};

}  // namespace

int submit(const Plan& plan, const SubmitOptions& options) {
  if (!has_slurm())
    throw UserError(ExitCode::kNoInput,
                    "squeue and scontrol are not on PATH: this machine has no SLURM. `sweep run "
                    "--rows` runs rows here; `sweep list --format` is for other schedulers");
  const auto lock = options.dry_run ? nullptr : lock_sweep(plan.folder);
  return Submitter(plan, options).run();
}

}  // namespace hyperx::sweep
