#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sweep/sweep_file.h"

namespace hyperx::sweep {

// One row: a training with all its settings.
struct Row {
  std::string digest;               // name of the row and of its run folder
  std::string settings;             // text of its settings file; paths relative to the sweep's rows/
  std::vector<std::string> values;  // of RowMaker::keys(), paths as in `settings`
};

// Rows in the order of the file; within a section the last key varies fastest, and seeds faster still.
struct Expansion {
  std::vector<Row> rows;
  int64_t skipped = 0;                  // left out by [when ...] skip = yes
  std::vector<std::string> equal_rows;  // "FILE:3: KEY = VALUE, ... is row 2 again", each left out
  std::map<std::string, size_t> place;  // in `rows`, by digest
};

// Makes the rows of a sweep in `folder`, which need not exist.
//
// A digest is the XXH128 of what the results depend on: the keys that `train` takes whose values are not the defaults,
// without run.dir, without the options of methods other than the row's, and without what only says how it is computed
// (options that any resumed run may change, such as threads and parallel.*). The latter count where the sweep itself
// varies them. So a row keeps its name when a later version has more options.
class RowMaker {
 public:
  // Paths in `project` are stored relative to the sweep, others absolute.
  RowMaker(const config::Schema& schema, const CommandSpecs& specs, const std::string& folder,
           const std::string& project);

  // UserError (78), naming file, line and the values of the row: settings that contradict each other, or a row without
  // data.corpus, train.pairs or model.encoder.
  Expansion expand(const SweepFile& file) const;
  const std::vector<std::string>& keys() const { return keys_; }  // those that `train` takes, without run.dir
  const config::Schema& schema() const { return schema_; }
  std::string stored(const std::string& path) const;  // as it is stored in the sweep
  std::string project_from_sweep() const;             // the project, relative to the sweep's folder
  // A key, other than what only says how it is computed, whose values differ; nullptr: the rows mean the same.
  const config::Option* difference(const std::vector<std::string>& values,
                                   const std::vector<std::string>& others) const;
  // The values of keys() in a row's settings file.
  std::vector<std::string> values_of(const std::string& settings_file) const;

 private:
  struct Candidate;
  void expand_section(const SweepFile& file, const Section& section, Expansion& expansion) const;
  void add(const SweepFile& file, Candidate candidate, Expansion& expansion) const;
  void check(const SweepFile& file, const Candidate& candidate) const;
  Row make_row(const Candidate& candidate) const;
  bool counts(const config::Option& option, const std::string& method) const;

  const config::Schema& schema_;
  const CommandSpecs& specs_;
  const std::string rows_folder_, project_;
  std::vector<const config::Option*> options_;
  std::vector<std::string> keys_;
  mutable std::map<std::string, std::string> stored_;  // by path: thousands of rows have the same few
};

// Name of a folder below a sweep: "runs/DIGEST", "rows/DIGEST.conf".
std::string run_folder_of(const std::string& sweep, const std::string& digest);
std::string settings_file_of(const std::string& sweep, const std::string& digest);

}  // namespace hyperx::sweep
