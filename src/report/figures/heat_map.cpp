#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "data/tokenizer/utf8.h"
#include "report/figures/figures.h"
#include "report/figures/svg.h"

namespace hyperx::report {
namespace {

constexpr double kCellWidth = 54, kCellHeight = 26, kLetter = 7.4, kMargin = 10, kFamilyGap = 6;

double width_of(const std::string& text) { return kLetter * static_cast<double>(data::count_code_points(text)); }

struct Range {
  double low = 0, high = 1;
  // Where a value lies between the smallest and the largest; for losses from the other end, so that bright is good.
  double share(double value, bool is_share) const {
    const double part = high > low ? (value - low) / (high - low) : 0.5;
    return is_share ? part : 1 - part;
  }
};

Range range_of(const TaskTable& table) {
  Range range{1e300, -1e300};
  for (const Row* row : table.rows())
    for (const Cell& cell : row->cells)
      if (cell.has_value()) range.low = std::min(range.low, cell.mean), range.high = std::max(range.high, cell.mean);
  return range;
}

// From dark to bright, with both ends as numbers.
void draw_scale(Svg& svg, double x, double y, const Range& range, const std::string& metric) {
  constexpr int kSteps = 24;
  constexpr double kStep = 6;
  const bool is_share = data::is_share(metric);
  svg.text(x - 6, y + 11, value_text(is_share ? range.low : range.high, metric), Svg::Anchor::kEnd, 11);
  for (int i = 0; i < kSteps; ++i) svg.rectangle(x + i * kStep, y, kStep + 0.5, 14, scale_colour(i / (kSteps - 1.0)));
  svg.text(x + kSteps * kStep + 6, y + 11,
           value_text(is_share ? range.high : range.low, metric) + "  " + metric_title(metric), Svg::Anchor::kStart,
           11);
}

}  // namespace

Figure heat_map(const Report& report, const TaskTable& table) {
  const Range range = range_of(table);
  const bool is_share = data::is_share(table.metric);
  double left = 60, names = 0, width = 0;
  for (const System& system : report.systems()) left = std::max(left, width_of(system.label) + 2 * kMargin);
  for (const Family& family : table.families) {
    for (const Row& row : family.rows) names = std::max(names, width_of(row.language.shown()));
    width += kCellWidth * static_cast<double>(family.rows.size()) + kFamilyGap;
  }
  const double slant = 0.71;
  const double top = 50 + names * slant, grid_height = kCellHeight * static_cast<double>(report.systems().size());
  width = std::max(left + width + names * slant + kMargin, 560.0);
  const std::string title = "Heat map of " + split_title(table, report.options.split);
  Svg svg(width, top + grid_height + 90, "heat-map-" + table.task, title,
          "One row per system, one column per language, ordered by family. The numbers are in the table of scores.");
  double x = left;
  size_t family_index = 0;
  for (const Family& family : table.families) {
    const double family_left = x;
    for (const Row& row : family.rows) {
      svg.text(x + kCellWidth / 2, top - 6, row.language.shown(), Svg::Anchor::kStart, 11, "#000", -45);
      for (size_t system = 0; system < row.cells.size(); ++system) {
        const double y = top + kCellHeight * static_cast<double>(system);
        const Cell& cell = row.cells[system];
        const double share = range.share(cell.mean, is_share);
        const std::string value = value_text(cell.mean, table.metric);
        svg.rectangle(x, y, kCellWidth - 1, kCellHeight - 1, cell.has_value() ? scale_colour(share) : "#FFF",
                      report.systems()[system].label + ", " + row.pair.name() + ": " + value +
                          (cell.trained ? ", trained" : ", never trained"));
        svg.text(x + kCellWidth / 2, y + kCellHeight / 2 + 4, value + (cell.trained ? "*" : ""), Svg::Anchor::kMiddle,
                 11, cell.has_value() ? text_colour_on(share) : "#000");
      }
      x += kCellWidth;
    }
    // Two heights by turns, because the names of small families are longer than their columns.
    const double below = top + grid_height + 16 + (family_index++ % 2 == 0 ? 0 : 15);
    svg.line(family_left, top + grid_height + 3, x - 2, top + grid_height + 3, "#000");
    svg.text((family_left + x) / 2, below, family.name, Svg::Anchor::kMiddle, 10);
    x += kFamilyGap;
  }
  for (size_t system = 0; system < report.systems().size(); ++system)
    svg.text(left - kMargin, top + kCellHeight * (static_cast<double>(system) + 0.5) + 4,
             report.systems()[system].label, Svg::Anchor::kEnd);
  svg.text(kMargin, 20, title, Svg::Anchor::kStart, 14);
  draw_scale(svg, left + 50, top + grid_height + 52, range, table.metric);
  svg.text(left + 50, top + grid_height + 82, "* trained on this task and language", Svg::Anchor::kStart, 11);
  return {"heat-map-" + table.task, title, svg.str(), {}};
}

Figure world_map(const Report& report, const TaskTable& table, size_t system) {
  constexpr double kPerDegree = 2.6, kLeft = 40, kTop = 40, kNorth = 80, kSouth = -60;
  const auto x_of = [&](double longitude) { return kLeft + (longitude + 180) * kPerDegree; };
  const auto y_of = [&](double latitude) { return kTop + (kNorth - latitude) * kPerDegree; };
  const double bottom = y_of(kSouth), right = x_of(180);
  const Range range = range_of(table);
  const std::string& label = report.systems()[system].label;
  const std::string title = label + ", " + split_title(table, report.options.split);
  Svg svg(right + 20, bottom + 80, fmt::format("map-{}-{}", table.task, system), "Map of " + title,
          "A mark for each language where Glottolog places it: circles are trained pairs, diamonds are never trained.");
  for (int longitude = -180; longitude <= 180; longitude += 30) {
    svg.line(x_of(longitude), kTop, x_of(longitude), bottom, longitude == 0 ? "#888" : "#DDD");
    svg.text(x_of(longitude), bottom + 14,
             longitude == 0 ? "0°" : fmt::format("{}°{}", std::abs(longitude), longitude < 0 ? "W" : "E"),
             Svg::Anchor::kMiddle, 10, "#444");
  }
  for (int latitude = -60; latitude <= 60; latitude += 30) {
    svg.line(kLeft, y_of(latitude), right, y_of(latitude), latitude == 0 ? "#888" : "#DDD");
    svg.text(kLeft - 4, y_of(latitude) + 4,
             latitude == 0 ? "0°" : fmt::format("{}°{}", std::abs(latitude), latitude < 0 ? "S" : "N"),
             Svg::Anchor::kEnd, 10, "#444");
  }
  Figure figure{fmt::format("map-{}-{}", table.task, system), "Map of " + title, "", {}};
  figure.table.push_back({"language", "ISO 639-3", "Glottocode", "latitude", "longitude", "score", "trained"});
  std::vector<std::pair<double, double>> taken;  // of labels, to move those that would lie on another
  for (const Row* row : table.rows()) {
    const Cell& cell = row->cells[system];
    const Language& language = row->language;
    const std::string value = value_text(cell.mean, table.metric);
    figure.table.push_back({language.shown(), language.iso639_3, language.glottocode,
                            language.has_place ? fmt::format("{:.1f}", language.latitude) : "unknown",
                            language.has_place ? fmt::format("{:.1f}", language.longitude) : "unknown", value,
                            cell.trained ? "yes" : "no"});
    if (!language.has_place || !cell.has_value()) continue;
    const double x = x_of(language.longitude), y = y_of(std::clamp(language.latitude, kSouth, kNorth));
    const std::string colour = scale_colour(range.share(cell.mean, data::is_share(table.metric)));
    const std::string tip = language.shown() + ": " + value + (cell.trained ? ", trained" : ", never trained");
    if (cell.trained) {
      svg.circle(x, y, 6, colour, tip);
    } else {
      svg.diamond(x, y, 7, colour, tip);
    }
    double label_y = y + 4;
    const auto is_taken = [&] {
      return std::any_of(taken.begin(), taken.end(), [&](const auto& other) {
        return std::abs(other.first - x) < 60 && std::abs(other.second - label_y) < 11;
      });
    };
    while (is_taken()) label_y += 11;
    taken.emplace_back(x, label_y);
    svg.text(x + 9, label_y, language.code + " " + value, Svg::Anchor::kStart, 10);
  }
  svg.text(kLeft, 20, title, Svg::Anchor::kStart, 14);
  draw_scale(svg, kLeft + 60, bottom + 26, range, table.metric);
  svg.circle(kLeft + 430, bottom + 33, 6, "#FFF");
  svg.text(kLeft + 442, bottom + 37, "trained", Svg::Anchor::kStart, 11);
  svg.diamond(kLeft + 510, bottom + 33, 7, "#FFF");
  svg.text(kLeft + 522, bottom + 37, "never trained", Svg::Anchor::kStart, 11);
  svg.text(kLeft, bottom + 62, "Places: Glottolog 5.1, CC BY 4.0", Svg::Anchor::kStart, 10, "#444");
  figure.svg = svg.str();
  return figure;
}

}  // namespace hyperx::report
