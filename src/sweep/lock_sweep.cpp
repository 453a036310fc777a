#include "sweep/lock_sweep.h"

namespace hyperx::sweep {

std::unique_ptr<train::RunLock> lock_sweep(const std::string& folder) {
  try {
    return std::make_unique<train::RunLock>(train::RunDir{folder});
  } catch (const UserError& error) {
    const std::string message = error.what();
    const size_t end = message.find(" is running in this folder");  // who it is stands before
    if (end == std::string::npos) throw;
    throw UserError(error.code(),
                    message.substr(0, end) + " is submitting or extending this sweep: wait for it, or stop it");
  }
}

}  // namespace hyperx::sweep
