#pragma once

#include <cstdint>

#include "common/config/config.h"

namespace hyperx::model {

// Which form of the generators' gradient is exchanged between ranks (docs/method.md section 6). All three give the same
// update, up to rounding.
enum class ExchangeKind {
  kFactors,  // every pair is split over the ranks: the factors g of all pairs and layers are summed
  kGather,   // ranks hold whole pairs: their factors g are gathered
  kDense,    // every pair is split: dW, dc and ds are summed
};

// The sizes that determine which kind moves the fewest values per step.
struct ExchangeSizes {
  int64_t pairs = 1, layers = 12, theta = 0, projected = 0, generators = 1;
  int64_t values_moved(ExchangeKind kind) const;  // 2KLn, KLn, 2n(d_p + 1) per generator
};

// Resolves parallel.exchange; auto takes the kind that moves the fewest values. With fewer pairs than ranks, gather
// would leave ranks idle, so auto never takes it then.
ExchangeKind choose_exchange(const ParallelConfig& config, const ExchangeSizes& sizes, int ranks);
const char* exchange_name(ExchangeKind kind);

}  // namespace hyperx::model
