#pragma once

#include <string>
#include <vector>

#include "report/resampling.h"
#include "report/score_table.h"

// Whether systems differ: paired tests on each pair of task and language, and on the mean over all of them.
namespace hyperx::report {

// One test of two systems.
struct Test {
  size_t first = 0, second = 0;  // systems
  std::string name;              // "pos:tr", or "mean of pos", "mean of all"
  std::string metric;            // empty: of several metrics
  Language language;             // of a single pair
  size_t sentences = 0;          // of a mean: of all its test files
  size_t pairs = 1;              // of a mean: how many
  size_t first_runs = 0, second_runs = 0;
  double first_score = 0, second_score = 0;
  double difference = 0;  // first - second
  Bounds interval;        // 95 %, paired bootstrap over runs and sentences
  double p = 1;           // paired approximate randomisation over sentences
  double p_holm = 1;      // corrected over all tests of single pairs, or over all tests of means
};

struct Comparison {
  std::vector<Test> tests;  // of single pairs, by systems, in the order of the tables
  std::vector<Test> means;  // by systems: of each task, and of all where there are several
  Resampling options;
};

// UserError: 64 fewer than two systems, or no metric that can be resampled; 66 predictions are missing, with the
// commands that write them; 65 predictions that do not belong to their results, or gold tags that differ.
Comparison compare_systems(const Report& report, const Resampling& options);

// 95 % intervals of every cell whose runs all have predictions, by the same bootstrap; sets Report::intervals. Cells
// whose predictions are damaged get none, and a problem is added.
void add_intervals(Report& report, const Resampling& options);

// The comparison in each format.
std::string text_comparison(const Comparison& comparison, const Report& report);
std::string markdown_comparison(const Comparison& comparison, const Report& report);
std::string latex_comparison(const Comparison& comparison, const Report& report);
std::string csv_comparison(const Comparison& comparison, const Report& report);

}  // namespace hyperx::report
