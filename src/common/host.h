#pragma once

#include <string>

namespace hyperx {

// Name of the machine that this process runs on, as used in locks, logs and messages. SystemError (74): the system has
// none.
std::string host_name();

}  // namespace hyperx
