#include "model/methods/method_spec.h"

namespace hyperx::model {

#define METHOD(name) MethodSpec name##_spec();
#include "model/methods/rows.inc"
#undef METHOD

double MessageCost::sent(int ranks) const { return (kind == Kind::kAllReduce ? 2 : 1) * bytes * (ranks - 1) / ranks; }

void add_dense_costs(double values, MethodCosts& costs) {
  costs.bucket_values += values;
  costs.state_bytes += 4 * 4 * values;
  costs.update_bytes += 4 * (kAdamPasses + 2) * values;
}

const std::vector<MethodSpec>& method_specs() {
  static const std::vector<MethodSpec> specs = {
#define METHOD(name) name##_spec(),
#include "model/methods/rows.inc"
#undef METHOD
  };
  return specs;
}

const MethodSpec& find_method_spec(const std::string& name) {
  std::string known;
  for (const MethodSpec& spec : method_specs()) {
    if (name == spec.name) return spec;
    known += (known.empty() ? "" : ", ") + std::string(spec.name);
  }
  throw UserError(ExitCode::kBadConfig, "model.method = '" + name + "' is not in this version, which knows " + known);
}

}  // namespace hyperx::model
