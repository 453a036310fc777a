#pragma once
// Precompiled for `model`, `trainer` and their tests: LibTorch's own headers are most of a file's compile time.
#include <torch/torch.h>
