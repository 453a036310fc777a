#include "model/methods/hyperx/exchange_choice.h"

#include "common/errors.h"

namespace hyperx::model {

int64_t ExchangeSizes::values_moved(ExchangeKind kind) const {
  switch (kind) {
    case ExchangeKind::kFactors:
      return 2 * pairs * layers * theta;
    case ExchangeKind::kGather:
      return pairs * layers * theta;
    case ExchangeKind::kDense:
      return 2 * generators * theta * (projected + 1);
  }
  HYPERX_CHECK(false, "an exchange of no kind");
}

const char* exchange_name(ExchangeKind kind) {
  return kind == ExchangeKind::kFactors ? "factors" : kind == ExchangeKind::kGather ? "gather" : "dense";
}

ExchangeKind choose_exchange(const ParallelConfig& config, const ExchangeSizes& sizes, int ranks) {
  const std::string& asked = config.exchange;
  if (asked == "factors") return ExchangeKind::kFactors;
  if (asked == "gather") return ExchangeKind::kGather;
  if (asked == "dense") return ExchangeKind::kDense;
  ExchangeKind best = ExchangeKind::kFactors;
  const bool may_be_dense = config.generator != "sharded";  // sharded generators keep no dense gradient
  if (may_be_dense && sizes.values_moved(ExchangeKind::kDense) < sizes.values_moved(best)) best = ExchangeKind::kDense;
  if (sizes.pairs >= ranks && sizes.pairs > 1 && sizes.values_moved(ExchangeKind::kGather) < sizes.values_moved(best))
    best = ExchangeKind::kGather;
  return best;
}

}  // namespace hyperx::model
