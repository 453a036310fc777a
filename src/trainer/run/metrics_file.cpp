#include "trainer/run/metrics_file.h"

#include <algorithm>
#include <cstring>

#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx::train {

namespace {

constexpr int kRateSteps = 100;               // the rate is averaged over this many last steps
constexpr size_t kSearchedBytes = 8'000'000;  // of the end of the file, for the last evaluation: some 30,000 steps

std::string line_of(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// Discarded, the nullptr of json, if the line is not a JSON object.
nlohmann::json parse_line(std::string_view line) {
  nlohmann::json object = parse_json_or_discard(line);
  return object.is_object() ? object : nlohmann::json(nlohmann::json::value_t::discarded);
}

// "1", "5-7": ascending numbers, of which neighbours form a range.
std::string ranges(const std::vector<int64_t>& numbers) {
  constexpr int kListed = 8;
  std::string text;
  int listed = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (listed++ == kListed) return text + " and more";
    const size_t first = i;
    while (i + 1 < numbers.size() && numbers[i + 1] == numbers[i] + 1) ++i;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[first]);
    if (i > first) text += "-" + std::to_string(numbers[i]);
  }
  return text;
}

// What a resume keeps of a file's text.
struct Kept {
  std::string text;
  int64_t cut = 0;
  std::vector<int64_t> damaged;  // numbers of lines, from 1
  std::vector<int> times;        // how often each step has a line, from step 1
};

Kept kept_lines(std::string_view rest, int64_t resume_step) {
  Kept kept;
  kept.times.resize(static_cast<size_t>(resume_step));
  kept.text.reserve(rest.size());
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const nlohmann::json object = parse_line(line);
    const auto step = object.is_discarded() ? object.end() : object.find("step");
    const int64_t of_step = step != object.end() && step->is_number_integer() ? step->get<int64_t>() : 0;
    if (of_step > resume_step || (end == std::string_view::npos && object.is_discarded())) {
      ++kept.cut;
    } else if (object.is_discarded()) {
      kept.damaged.push_back(number);
    } else {
      kept.text.append(line).push_back('\n');
      if (of_step > 0 && object.value("event", nlohmann::json()) == "step")
        ++kept.times[static_cast<size_t>(of_step - 1)];
    }
  }
  return kept;
}

std::vector<std::string> problems_of(const Kept& kept) {
  std::vector<int64_t> missing, repeated;
  for (size_t i = 0; i < kept.times.size(); ++i)
    if (kept.times[i] != 1) (kept.times[i] == 0 ? missing : repeated).push_back(static_cast<int64_t>(i) + 1);
  std::vector<std::string> problems;
  if (!kept.damaged.empty()) problems.push_back("its damaged lines are removed: " + ranges(kept.damaged));
  if (!missing.empty()) problems.push_back("the lines of these steps are missing: " + ranges(missing));
  if (!repeated.empty()) problems.push_back("these steps have more than one line: " + ranges(repeated));
  return problems;
}

std::string read_now(const std::string& path) {
  try {
    return kind_of(path) == PathKind::kNothing ? "" : read_file(path);
  } catch (const ReadError& error) {
    throw UserError(ExitCode::kIo, error.what());
  }
}

}  // namespace

MetricsFile::MetricsFile(const std::string& path, int64_t resume_step, const std::optional<MetricsMark>& mark) {
  const std::string old = read_now(path);
  const Kept kept = kept_lines(old, resume_step);
  lines_cut_ = kept.cut;
  problems_ = problems_of(kept);
  const bool as_recorded = !mark || xxh128_hex(kept.text.substr(0, static_cast<size_t>(mark->bytes))) == mark->xxh128;
  if (!as_recorded && problems_.empty())
    problems_.push_back("its lines up to step " + std::to_string(resume_step) +
                        " are not those that the checkpoint recorded: some were changed or lost");
  if (!kept.damaged.empty()) write_file_atomically(unused_name(path, "damaged"), old);
  if (kept.text != old) write_file_atomically(path, kept.text);
  count(kept.text);
  file_.emplace(path);
}

void MetricsFile::count(std::string_view text) {
  bytes_ += std::ssize(text);
  digest_.update(text);
}

void MetricsFile::add(const nlohmann::json& object) {
  const std::string line = line_of(object);
  count(line);
  file_->add(line);
}

namespace {

// `text` without the lines at its end that do not hold `word`, as far as whole blocks of them lack it. Looking at each
// line would take ten times as long.
std::string_view to_block_with(std::string_view text, std::string_view word) {
  constexpr size_t kBlock = 1 << 16;
  while (!text.empty()) {
    const size_t line = text.size() > kBlock ? text.rfind('\n', text.size() - kBlock) : std::string_view::npos;
    const size_t from = line == std::string_view::npos ? 0 : line + 1;
    if (::memmem(text.data() + from, text.size() - from, word.data(), word.size()) != nullptr) return text;
    text = text.substr(0, from);
  }
  return text;
}

}  // namespace

MetricsTail read_metrics_tail(const std::string& path) {
  MetricsTail tail;
  if (kind_of(path) == PathKind::kNothing) return tail;
  const MappedFile file(path);
  std::string_view rest = file.view();
  if (rest.size() > kSearchedBytes) {  // from the beginning of a line
    const size_t end = rest.find('\n', rest.size() - kSearchedBytes);
    rest.remove_prefix(end == std::string_view::npos ? 0 : end + 1);
  }
  double seconds = 0, tokens = 0;
  int steps = 0;
  bool before_evaluation = false;  // the lines of one evaluation are consecutive
  while (!rest.empty() && (steps < kRateSteps || !before_evaluation)) {
    if (steps >= kRateSteps && tail.last_evaluation.empty()) rest = to_block_with(rest, "\"evaluation\"");
    if (rest.empty()) break;
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
