#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/score_table.h"

// A table of scores as texts, which the writers of all formats share.
namespace hyperx::report {

struct GridCell {
  std::string value;      // "93.9", "-"
  std::string deviation;  // "0.4"; empty: none
  std::string low, high;  // of the interval; empty: none
  Place place = Place::kNone;
  bool trained = false;
  const Cell* cell = nullptr;  // where it comes from; null in rows of means
};

struct GridRow {
  enum class Kind { kFamily, kLanguage, kMean };
  Kind kind = Kind::kLanguage;
  std::string name;        // of the family, language or mean
  bool is_of_all = false;  // a mean over languages of all families
  bool not_read = false;   // the encoder has not read the language
  bool is_uneven = false;  // the cells cannot be compared
  std::string sentences;   // n; of a mean: empty
  std::string baseline;
  std::vector<GridCell> cells;  // [systems]
  const Row* row = nullptr;
};

struct Grid {
  std::string title;                 // "pos, test: accuracy [%]"
  std::vector<std::string> systems;  // labels with the number of seeds
  bool has_baseline = false;
  std::vector<GridRow> rows;

  // Which marks occur, for the legend.
  bool has_trained = false, has_not_read = false, has_uneven = false, has_deviation = false, has_interval = false,
       has_places = false;
};

Grid make_grid(const Report& report, const TaskTable& table);

// The sentences that explain the marks of a grid. The marks as the format writes them.
struct Marks {
  std::string trained, not_read, uneven, best, second;
  std::string (*running_text)(std::string_view);  // of escape.h

  std::string after_name(const GridRow& row) const {
    return (row.not_read ? not_read : "") + (row.is_uneven ? uneven : "");
  }
};
std::vector<std::string> legend_of(const Grid& grid, const Report& report, const Marks& marks);

}  // namespace hyperx::report
