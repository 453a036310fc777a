#include "trainer/comm/rank_zero.h"

#include "common/errors.h"

namespace hyperx::comm {

std::string on_rank_zero(Communicator& communicator, const std::function<std::string()>& work) {
  std::string text, error;
  int code = 0;
  if (communicator.rank() == 0) {
    try {
      text = work();
    } catch (const UserError& found) {
      error = found.what();
      code = static_cast<int>(found.code());
    }
  }
  code = static_cast<int>(communicator.all_reduce_max({code})[0]);
  if (code != 0) {
    communicator.broadcast_bytes(error);
    throw UserError(static_cast<ExitCode>(code), error);
  }
  communicator.broadcast_bytes(text);
  return text;
}

}  // namespace hyperx::comm
