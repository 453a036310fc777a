#include "trainer/run/start_over.h"

#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx::train {

void start_over(const RunDir& run) {
  // The metrics first: checkpoints without metrics make a resume warn, metrics without checkpoints would be cut.
  for (const std::string& path : {run.metrics(), run.checkpoints()})
    if (kind_of(path) != PathKind::kNothing)
      log::warning("--resume restart: {} is kept as {}", path, set_aside(path, "before"));
}

}  // namespace hyperx::train
