#pragma once

#include <string>
#include <vector>

#include "report/figures/figures.h"
#include "report/score_table.h"

namespace hyperx::report {

// One page that needs no other file and no network. `folder` is where it will lie: links to result files, settings and
// predictions are relative to it.
std::string html_report(const Report& report, const std::vector<Figure>& figures, const std::string& folder);

}  // namespace hyperx::report
