#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/languages.h"
#include "report/systems.h"

// The cells of a report: one table per task, a row per language, a column per system.
namespace hyperx::report {

inline constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// The score of one run on one pair.
struct RunScore {
  size_t run = 0;                    // index into Selection::runs
  const ResultFile* file = nullptr;  // in the selection
  double value = kNothing;
};

struct Interval {
  double low = kNothing, high = kNothing;
};

// A system's score on a pair.
struct Cell {
  std::vector<RunScore> runs;             // those that count, in the order of the system
  std::map<std::string, double> by_seed;  // mean of the seed's runs (partitions); a run without settings: by its path
  double mean = kNothing;                 // over the seeds
  double deviation = kNothing;            // sample standard deviation over the seeds; NaN for a single one
  bool trained = false;                   // the runs were trained on the pair
  std::optional<double> baseline;         // always the most frequent tag of the training data
  std::optional<Interval> interval;       // 95 %, from bootstrap over seeds and sentences
  std::string why_missing;                // without a value: why

  bool has_value() const { return mean == mean; }
};

enum class Place { kNone, kBest, kSecond };

// The systems' places in a row, by the values as they are shown; all kNone where a cell is missing, the row is uneven,
// or there is only one system.
std::vector<Place> places_of(const std::vector<double>& values, const std::string& metric);

enum class Trained { kByAll, kByNone, kBySome };

struct Row {
  data::Pair pair;
  Language language;
  int64_t sentences = 0, words = 0;
  std::string source;                   // of the gold file, from the signature
  std::vector<Cell> cells;              // [systems]
  std::vector<Place> places;            // [systems]
  std::optional<double> baseline;       // of all systems; nothing: none, or they differ
  Trained trained = Trained::kByNone;   // by the systems that have a value
  std::optional<bool> read_by_encoder;  // nothing: unknown, or the systems' encoders differ
  std::string uneven;                   // why the cells cannot be compared; empty: they can

  bool is_complete() const;  // every system has a value, and they can be compared
};

// A mean over the complete rows of a group.
struct MeanRow {
  std::string name;                        // "mean, never trained"
  size_t rows = 0;                         // n
  std::vector<double> values, deviations;  // [systems]; deviation over seeds, NaN where the rows' seeds differ
  std::vector<Place> places;
  std::optional<double> baseline;
};

// The rows of one language family.
struct Family {
  std::string name;
  std::vector<Row> rows;
  std::optional<MeanRow> mean;  // where there are two rows or more
};

struct TaskTable {
  std::string task, metric;
  std::vector<Family> families;
  std::vector<MeanRow> means;
  std::vector<std::string> notes;  // what makes the comparison uneven, as sentences

  std::vector<const Row*> rows() const;
  bool has_baseline() const;
};

struct Report {
  Selection selection;
  ReadOptions options;
  std::vector<TaskTable> tables;  // in the order of the tasks
  std::string intervals;          // how they were made; empty: there are none
  size_t files = 0;               // result files used

  const std::vector<System>& systems() const { return selection.systems; }
  bool is_uneven() const;
  std::vector<std::string> notes() const;  // of the selection and all tables
};

// `metric`: a key of the results' metrics, used for every task that has it; empty: each task's main metric.
// UserError (64): no result has this metric.
Report make_report(Selection selection, const ReadOptions& options, const std::string& metric);

// "93.9" for a share, "2.345" for a loss, "-" for NaN.
std::string value_text(double value, const std::string& metric);
// Of a deviation: in the units of value_text.
std::string deviation_text(double deviation, const std::string& metric);
std::string metric_title(const std::string& metric);                        // "accuracy [%]", "F1 [%]", "loss"
std::string split_title(const TaskTable& table, const std::string& split);  // "pos, test: accuracy [%]"

}  // namespace hyperx::report
