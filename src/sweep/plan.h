#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sweep/rows.h"

// A frozen sweep: the folder that `sweep plan` makes. docs/file_formats.md describes its files.
namespace hyperx::sweep {

struct PlanRow {
  std::string digest;
  std::vector<std::string> values;  // of Plan::varying
};

struct Plan {
  std::string folder;                // as it was named
  std::string project;               // relative to the folder: paths in it are stored relative
  std::vector<std::string> varying;  // keys that are not equal in all rows
  std::vector<PlanRow> rows;         // row N is rows[N - 1]
  std::vector<Evaluation> evaluations;
  nlohmann::json sources;  // one object per sweep file: name, time, digest, text, its rows
  int64_t offset = 0;      // of a chunk (make_chunk): its row 1 is row offset + 1 of the sweep

  std::string name() const;
  int64_t size() const { return std::ssize(rows); }
  const PlanRow& row(int64_t number) const { return rows.at(static_cast<size_t>(number - 1)); }
  std::string run_folder(int64_t number) const { return run_folder_of(folder, row(number).digest); }
  std::string settings_file(int64_t number) const { return settings_file_of(folder, row(number).digest); }
  std::string log(int64_t number) const { return folder + "/logs/" + row(number).digest + ".log"; }
  // "train.seed = 2, hyperx.adapter_dim = 64"; one row of one: its digest.
  std::string describe(int64_t number) const;
  // The number of a row that is named by its number, its digest or the first 6 or more digits of it, or by an object
  // of `sweep list --format json`. UserError (64): no such row.
  int64_t find(const std::string& name) const;
};

// Reads SWEEP/plan.json; `folder` may also be a chunk. UserError: 66 no such sweep; 65 damaged, or of another format.
Plan read_plan(const std::string& folder);

// Writes a new sweep; the folder appears whole or not at all. UserError (73): the folder exists.
Plan write_plan(const std::string& folder, const SweepFile& file, const RowMaker& maker, const Expansion& expansion);

struct Extended {
  int64_t added = 0, kept = 0;  // kept: rows of before
  int64_t only_before = 0;      // of those kept, how many the new file does not have
  bool evaluates_differently = false;
};
// Adds the rows that the sweep lacks, after the others. Whoever changes a sweep holds its SweepLock.
Extended extend_plan(const Plan& plan, const SweepFile& file, const RowMaker& maker, const Expansion& expansion);

// A folder that stands for the sweep with other row numbers, for schedulers whose numbers are limited. Returns its
// path: SWEEP/chunks/from-OFFSET.
std::string make_chunk(const Plan& plan, int64_t offset);

}  // namespace hyperx::sweep
