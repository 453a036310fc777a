#pragma once

#include <cstdint>
#include <string>

namespace hyperx {

// Name of the machine that this process runs on, as used in locks, logs and messages. SystemError (74): the system has
// none.
std::string host_name();

// Memory that this process may use [bytes]: that of the machine, or less by a limit of its control group or of ulimit
// -v.
int64_t usable_memory();

}  // namespace hyperx
