#pragma once

#include <string>
#include <vector>

#include "report/score_table.h"

// A report in each format. All are complete texts of files.
namespace hyperx::report {

std::string text_report(const Report& report);
std::string markdown_report(const Report& report);
// One table environment of booktabs per task.
std::string latex_report(const Report& report);
// One line per number, with all columns that identify it (docs/file_formats.md).
std::string csv_report(const Report& report);

// What a reader must know about the comparison, and the files that could not be used: as lines of text.
std::vector<std::string> remarks(const Report& report);

}  // namespace hyperx::report
