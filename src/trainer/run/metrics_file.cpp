#include "trainer/run/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"

namespace hyperx::train {

namespace {

constexpr int kRateSteps = 100;  // the rate is averaged over this many last steps

std::string line_of(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// Discarded, the nullptr of json, if the line is not a JSON object.
nlohmann::json parse_line(std::string_view line) {
  nlohmann::json object = parse_json_or_discard(line);
  return object.is_object() ? object : nlohmann::json(nlohmann::json::value_t::discarded);
}

bool stays(std::string_view line, int64_t resume_step) {
  const nlohmann::json object = parse_line(line);
  if (object.is_discarded()) return false;
  return !object.contains("step") || !object["step"].is_number_integer() ||
         object["step"].get<int64_t>() <= resume_step;
}

}  // namespace

MetricsFile::MetricsFile(const std::string& path, int64_t resume_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    const MappedFile old(path);
    std::string kept;
    kept.reserve(old.size());
    std::string_view rest = old.view();
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      if (end != std::string_view::npos && stays(line, resume_step))
        kept.append(line).push_back('\n');
      else
        ++lines_cut_;
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (lines_cut_ > 0) write_file_atomically(path, kept);
  }
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw SystemError(path + ": cannot be written to: " + errno_text(), ExitCode::kCannotCreate);
}

MetricsFile::~MetricsFile() { ::close(fd_); }

void MetricsFile::add(const nlohmann::json& object) {
  waiting_ += line_of(object);
  ++lines_waiting_;
}

void MetricsFile::flush() {
  if (torn_at_ >= 0 && ::ftruncate(fd_, torn_at_) != 0) throw SystemError(path_ + ": " + errno_text());
  torn_at_ = -1;
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  const ssize_t written = ::write(fd_, waiting_.data(), waiting_.size());
  if (written == static_cast<ssize_t>(waiting_.size())) {
    waiting_.clear();
    lines_waiting_ = 0;
    return;
  }
  const std::string cause = written < 0 ? errno_text() : "only a part of a line was written (a full disk?)";
  if (written > 0 && ::ftruncate(fd_, before) != 0) torn_at_ = before;
  throw SystemError(path_ + ": " + cause);
}

MetricsTail read_metrics_tail(const std::string& path) {
  MetricsTail tail;
  if (!std::filesystem::exists(path)) return tail;
  const MappedFile file(path);
  std::string_view rest = file.view();
  double seconds = 0, tokens = 0;
  int steps = 0;
  bool before_evaluation = false;  // the lines of one evaluation are consecutive
  while (!rest.empty() && (steps < kRateSteps || !before_evaluation)) {
    rest.remove_suffix(rest.back() == '\n' ? 1 : 0);
    const size_t before = rest.rfind('\n');
    const std::string_view line = rest.substr(before == std::string_view::npos ? 0 : before + 1);
    rest = rest.substr(0, before == std::string_view::npos ? 0 : before + 1);
    // there are many lines of steps: they are parsed only while the rate needs them
    const bool may_evaluate = line.find("\"evaluation\"") != std::string_view::npos;
    before_evaluation = before_evaluation || (!may_evaluate && !tail.last_evaluation.empty());
    if (steps >= kRateSteps && !may_evaluate) continue;
    const nlohmann::json object = parse_line(line);
    if (object.is_discarded() || !object.contains("event")) continue;
    if (object["event"] == "evaluation" && !before_evaluation) {
      const bool same =
          tail.last_evaluation.empty() || tail.last_evaluation.back()["step"] == object.value("step", nlohmann::json());
      if (same) tail.last_evaluation.push_back(object);
      before_evaluation = !same;
    }
    if (object["event"] != "step" || steps >= kRateSteps) continue;
    if (tail.last_step.is_null()) tail.last_step = object;
    ++steps;
    if (object.contains("seconds") && object["seconds"].is_number()) seconds += object["seconds"].get<double>();
    if (object.contains("tokens") && object["tokens"].is_number()) tokens += object["tokens"].get<double>();
  }
  std::reverse(tail.last_evaluation.begin(), tail.last_evaluation.end());
  if (seconds > 0) {
    tail.steps_per_second = steps / seconds;
    tail.tokens_per_second = tokens / seconds;
  }
  return tail;
}

}  // namespace hyperx::train
