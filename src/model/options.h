#pragma once

#include "common/config/schema.h"

namespace hyperx::model {

// All options: those of every run, of every method and of every task.
const config::Schema& options();

}  // namespace hyperx::model
