#include "sweep/submissions.h"

#include <algorithm>
#include <sstream>

#include "common/config/make_option.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/line_file.h"
#include "common/read_error.h"
#include "sweep/row_set.h"

namespace hyperx::sweep {
namespace {

constexpr const char* kHead = "time\ttoken\tjob\toffset\trows\n";
constexpr const char* kUnknownJob = "-";

Submission submission_of(const std::string& line, const std::string& place, int64_t rows) {
  std::vector<std::string> cells;
  std::istringstream text(line);
  for (std::string cell; std::getline(text, cell, '\t');) cells.push_back(cell);
  Submission submission;
  if (cells.size() != 5 || config::read_value(cells[3], submission.offset) != config::Reading::kGood)
    throw UserError(ExitCode::kBadData, place + "'" + line + "' is no submission: restore the file");
  submission.time = cells[0];
  submission.token = cells[1];
  if (cells[2] != kUnknownJob) submission.job = cells[2];
  submission.rows = parse_row_set(cells[4], rows, place + "rows");
  return submission;
}

}  // namespace

Submissions Submissions::read(const Plan& plan) {
  Submissions submissions;
  submissions.path_ = plan.folder + "/submissions.tsv";
  if (kind_of(submissions.path_) == PathKind::kNothing) return submissions;
  std::istringstream lines(read_file(submissions.path_));
  std::string line;
  for (int64_t number = 1; std::getline(lines, line); ++number)
    if (number > 1)
      submissions.take(submission_of(line, submissions.path_ + ":" + std::to_string(number) + ": ", plan.size()));
  return submissions;
}

const Submission* Submissions::last_of(int64_t row) const {
  const auto found = last_.find(row);
  return found == last_.end() ? nullptr : &all_[found->second];
}

void Submissions::write(const Submission& submission) {
  LineFile file(path_);
  if (all_.empty()) file.add(kHead);
  file.add(submission.time + "\t" + submission.token + "\t" + (submission.job.empty() ? kUnknownJob : submission.job) +
           "\t" + std::to_string(submission.offset) + "\t" + row_set_text(submission.rows) + "\n");
  file.flush();
  sync_path(path_);
  take(submission);
}

void Submissions::take(Submission submission) {
  const auto earlier =
      std::find_if(all_.begin(), all_.end(), [&](const Submission& each) { return each.token == submission.token; });
  const auto place = static_cast<size_t>(earlier - all_.begin());
  if (earlier != all_.end())  // which may have named more rows
    for (const int64_t row : earlier->rows) last_.erase(row);
  for (const int64_t row : submission.rows) last_[row] = place;
  if (earlier == all_.end())
    all_.push_back(std::move(submission));
  else
    *earlier = std::move(submission);
}

}  // namespace hyperx::sweep
