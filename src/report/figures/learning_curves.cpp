#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "data/tasks/pair.h"
#include "report/figures/figures.h"
#include "report/figures/svg.h"
#include "trainer/run/run_dir.h"

namespace hyperx::report {
namespace {

constexpr double kLosses = 60;  // points of a loss curve: each is the mean over a range of steps

// The mean of values that belong to one step.
struct Mean {
  double sum = 0;
  int64_t count = 0;
  void add(double value) { sum += value, ++count; }
  double value() const { return sum / static_cast<double>(count); }
};

struct RunCurves {
  std::map<std::string, std::map<double, Mean>> losses;  // by task, by step
  std::map<std::string, std::map<double, Mean>> scores;  // by "TASK METRIC"
};

std::string task_of(const nlohmann::json& object) {
  const std::string pair = object.value("pair", std::string());
  return pair.substr(0, pair.find(':'));
}

void take_line(const nlohmann::json& object, RunCurves& curves) {
  const std::string event = object.value("event", std::string());
  const double step = object.value("step", 0.0);
  if (event == "step" && object.contains("loss") && object["loss"].is_number())
    curves.losses[task_of(object)][step].add(object["loss"].get<double>());
  if (event != "evaluation" || !object.contains("metrics")) return;
  const std::string metric = object.value("main_metric", std::string());
  const nlohmann::json& metrics = object["metrics"];
  if (metrics.is_object() && metrics.contains(metric) && metrics[metric].is_number())
    curves.scores[task_of(object) + " " + metric][step].add(metrics[metric].get<double>());
}

RunCurves read_curves(const std::string& path, std::vector<Problem>& problems) {
  RunCurves curves;
  const MappedFile file(path);
  std::string_view rest = file.view();
  int64_t damaged = 0;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const nlohmann::json object = parse_json_or_discard(line);
    try {
      if (object.is_object()) take_line(object, curves);
      damaged += !object.is_object();
    } catch (const nlohmann::json::exception&) {  // a field of another type
      ++damaged;
    }
  }
  if (damaged > 0) problems.push_back({path, fmt::format("{} damaged lines are left out of the curves", damaged)});
  return curves;
}

// A system's curve: at each step the mean over its runs; losses are first averaged over ranges of steps.
Curve curve_of(const std::string& label, const std::vector<const std::map<double, Mean>*>& runs, double range) {
  std::map<double, Mean> means;
  for (const auto* run : runs) {
    std::map<double, Mean> of_run;
    for (const auto& [step, mean] : *run) {
      Mean& place = of_run[range > 1 ? std::ceil(step / range) * range : step];
      place.sum += mean.sum;
      place.count += mean.count;
    }
    for (const auto& [step, mean] : of_run) means[step].add(mean.value());
  }
  Curve curve{label, {}};
  for (const auto& [step, mean] : means) curve.points[step] = mean.value();
  return curve;
}

double last_step(const std::vector<std::vector<RunCurves>>& systems) {
  double last = 1;
  for (const auto& runs : systems)
    for (const RunCurves& run : runs)
      for (const auto& [task, steps] : run.losses) last = std::max(last, steps.rbegin()->first);
  return last;
}

// One chart for each key that a member of RunCurves has.
template <class Member>
void add_charts(const Report& report, const std::vector<std::vector<RunCurves>>& systems, Member member, double range,
                const std::string& file, const std::string& title, std::vector<Figure>& figures) {
  std::set<std::string> keys;
  for (const auto& runs : systems)
    for (const RunCurves& run : runs)
      for (const auto& [key, steps] : run.*member) keys.insert(key);
  for (const std::string& key : keys) {
    std::vector<Curve> curves;
    for (size_t system = 0; system < systems.size(); ++system) {
      std::vector<const std::map<double, Mean>*> found;
      for (const RunCurves& run : systems[system])
        if ((run.*member).contains(key)) found.push_back(&(run.*member).at(key));
      if (!found.empty()) curves.push_back(curve_of(report.systems()[system].label, found, range));
    }
    std::string name = file + "-" + key;
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
    figures.push_back(line_chart(name, title + ": " + key, key, curves));
  }
}

}  // namespace

Figure line_chart(const std::string& file, const std::string& title, const std::string& y_title,
                  const std::vector<Curve>& curves) {
  constexpr double kLeft = 60, kTop = 44, kWidth = 460, kHeight = 240, kLegend = 20;
  double low = 1e300, high = -1e300, last = 1;
  for (const Curve& curve : curves)
    for (const auto& [step, value] : curve.points)
      low = std::min(low, value), high = std::max(high, value), last = std::max(last, step);
  if (!(high > low)) high = low + 1;
  Svg svg(kLeft + kWidth + 30, kTop + kHeight + 60 + kLegend * static_cast<double>(curves.size()), file, title,
          "Lines over training steps, one for each system; the numbers are in the table below.");
  const auto x_of = [&](double step) { return kLeft + kWidth * step / last; };
  const auto y_of = [&](double value) { return kTop + kHeight * (high - value) / (high - low); };
  for (int i = 0; i <= 4; ++i) {
    const double value = low + (high - low) * i / 4, step = last * i / 4;
    svg.line(kLeft, y_of(value), kLeft + kWidth, y_of(value), "#DDD");
    svg.text(kLeft - 6, y_of(value) + 4, fmt::format("{:.3g}", value), Svg::Anchor::kEnd, 10);
    svg.text(x_of(step), kTop + kHeight + 16, fmt::format("{:.0f}", step), Svg::Anchor::kMiddle, 10);
  }
  Figure figure{file, title, "", {{"step"}}};
  std::map<double, std::vector<std::string>> rows;
  double y = kTop + kHeight + 56;
  for (size_t i = 0; i < curves.size(); ++i) {
    figure.table[0].push_back(curves[i].label);
    std::vector<std::pair<double, double>> points;
    for (const auto& [step, value] : curves[i].points) {
      points.emplace_back(x_of(step), y_of(value));
      rows[step].resize(curves.size(), "-");
      rows[step][i] = fmt::format("{:.4g}", value);
    }
    svg.polyline(points, line_colour(i), line_dashes(i));
    if (points.size() == 1) svg.circle(points[0].first, points[0].second, 3, line_colour(i));
    svg.polyline({{kLeft, y}, {kLeft + 40, y}}, line_colour(i), line_dashes(i));
    svg.text(kLeft + 48, y + 4, curves[i].label, Svg::Anchor::kStart, 11);
    y += kLegend;
  }
  for (auto& [step, values] : rows) {
    values.insert(values.begin(), fmt::format("{:.0f}", step));
    figure.table.push_back(values);
  }
  svg.text(10, 20, title, Svg::Anchor::kStart, 14);
  svg.text(kLeft, 38, y_title, Svg::Anchor::kStart, 10);
  svg.text(kLeft + kWidth / 2, kTop + kHeight + 34, "step", Svg::Anchor::kMiddle, 11);
  figure.svg = svg.str();
  return figure;
}

std::vector<Figure> learning_curves(Report& report) {
  std::vector<std::vector<RunCurves>> systems;
  for (const System& system : report.systems()) {
    systems.emplace_back();
    for (const size_t run : system.runs) {
      const std::string path = train::RunDir{report.selection.runs[run].path}.metrics();
      std::error_code unreadable;
      if (!std::filesystem::exists(path, unreadable)) continue;  // a run that was copied without it
      try {
        systems.back().push_back(read_curves(path, report.selection.problems));
      } catch (const UserError& error) {
        report.selection.problems.push_back({path, error.what()});
      }
    }
  }
  std::vector<Figure> figures;
  const double range = std::max(1.0, std::ceil(last_step(systems) / kLosses));
  add_charts(report, systems, &RunCurves::losses, range, "loss", "Training loss", figures);
  add_charts(report, systems, &RunCurves::scores, 1, "score", "Score during training", figures);
  return figures;
}

std::vector<Figure> all_figures(Report& report) {
  std::vector<Figure> figures;
  for (const TaskTable& table : report.tables) {
    figures.push_back(heat_map(report, table));
    for (size_t system = 0; system < report.systems().size(); ++system)
      figures.push_back(world_map(report, table, system));
  }
  for (Figure& figure : learning_curves(report)) figures.push_back(std::move(figure));
  return figures;
}

}  // namespace hyperx::report
