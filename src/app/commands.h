#pragma once

#include <vector>

#include "app/command.h"

// One function per sub-command.
namespace hyperx {

// Every sub-command, in the order of --help.
std::vector<Command> all_commands();

Command import_command();
Command prepare_command();
Command tokenize_command();
Command score_command();
Command report_command();
Command compare_command();
Command inspect_command();
Command verify_command();
Command status_command();
Command diff_command();
Command prune_command();
Command estimate_command();
Command sweep_command();

// These need LibTorch and MPI: tensor_commands.cpp describes their options, the tensor library implements them.
Command train_command();
Command evaluate_command();
Command predict_command();
Command doctor_command();

Command options_command();

}  // namespace hyperx
