#pragma once

#include <map>
#include <string>
#include <vector>

#include "report/score_table.h"

// The figures of a report, as SVG images.
namespace hyperx::report {

struct Figure {
  std::string file;   // "heat-map-pos": name of its file, and its id in the page
  std::string title;  // for people
  std::string svg;
  // What it shows, as a table: the first row is the head. Empty: the page's table of scores has it all.
  std::vector<std::vector<std::string>> table;
};

// Systems by languages, which are ordered by family.
Figure heat_map(const Report& report, const TaskTable& table);
// A system's scores where its languages are spoken: places from Glottolog, on a grid of 30 degrees.
Figure world_map(const Report& report, const TaskTable& table, size_t system);

// A line of a chart: mean over the runs of a system that have the step.
struct Curve {
  std::string label;
  std::map<double, double> points;  // value by step
};
Figure line_chart(const std::string& file, const std::string& title, const std::string& y_title,
                  const std::vector<Curve>& curves);
// Training loss by task, and scores during training, from the runs' metrics.jsonl. Files that cannot be read become
// problems of the report.
std::vector<Figure> learning_curves(Report& report);

// All of them, in the order of the page.
std::vector<Figure> all_figures(Report& report);

}  // namespace hyperx::report
