#pragma once

#include <ostream>
#include <string>

#include "common/config/config.h"
#include "trainer/doctor/checks.h"

namespace hyperx {

// The folder that `doctor` is to try; "." if none is named. UserError (64): several.
std::string folder_of(const CommandLine& line);

// Judges the facts and writes the findings; returns the exit code: 69 if something is wrong.
int report(const doctor::JobFacts& job, bool as_json, std::ostream& out);

}  // namespace hyperx
