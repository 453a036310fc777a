#pragma once

#include <string>

namespace hyperx {

// Of the machine that this process runs on, as locks, logs and messages name it. SystemError (74): there is none to be
// had.
std::string host_name();

}  // namespace hyperx
