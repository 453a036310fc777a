#include "common/errors.h"
#include "model/methods/method.h"

namespace hyperx::model {

#define METHOD(name)        \
  MethodSpec name##_spec(); \
  std::unique_ptr<Method> make_##name(const MethodContext& context);
#include "model/methods/rows.inc"
#undef METHOD

at::Tensor Method::plain_end(const LayerEnd& end) {
  return residual_norm(end.down.product(end.inner), end.down.bias(), end.dropout, end.residual, {}, end.norm);
}

std::vector<HeadWeights> Method::head_samples(int64_t) {
  HYPERX_CHECK(false, "a method whose row says makes_heads has to override head_samples");
}

const MethodRow& find_method(const std::string& name) {
  static const std::vector<MethodRow> rows = {
#define METHOD(name) {name##_spec(), make_##name},
#include "model/methods/rows.inc"
#undef METHOD
  };
  const MethodSpec& spec = find_method_spec(name);
  return rows.at(static_cast<size_t>(&spec - method_specs().data()));
}

}  // namespace hyperx::model
