#pragma once

#include <string>
#include <vector>

#include "sweep/plan.h"

namespace hyperx::sweep {

// Rows as other programs take them:
//   lines      one command line per row: GNU parallel, xargs, `hq submit --each-line`
//   array      the rows' numbers, "1-3,7": sbatch --array
//   json       a list of objects with "row", "digest", "values": hq submit --from-json
//   folder     the rows' run folders, one per line
//   snakemake  a Snakefile with one job per row
// UserError (64): another word.
std::string list_rows(const Plan& plan, const std::vector<int64_t>& rows, const std::string& format);

// A project of the program `row` (glotzerlab): `folder` gets workflow.toml, and workspace/DIGEST/value.json per row.
// Files that are there already stay if they have the same content. UserError (73).
void write_row_project(const Plan& plan, const std::vector<int64_t>& rows, const std::string& folder);

}  // namespace hyperx::sweep
