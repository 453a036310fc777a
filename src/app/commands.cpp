#include "app/commands.h"

namespace hyperx {

// clang-format off
std::vector<Command> all_commands() {
  return {
      import_command(),
      prepare_command(),
      tokenize_command(),
      estimate_command(),
      doctor_command(),
      train_command(),
      evaluate_command(),
      predict_command(),
      score_command(),
      report_command(),
      compare_command(),
      sweep_command(),
      status_command(),
      diff_command(),
      prune_command(),
      inspect_command(),
      verify_command(),
      options_command(),
  };
}
// clang-format on

}  // namespace hyperx
