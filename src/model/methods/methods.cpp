#include <array>

#include "common/errors.h"
#include "model/methods/hyperx/hyperx.h"
#include "model/methods/method.h"

namespace hyperx::model {
namespace {

template <class T>
std::unique_ptr<Method> make(const MethodContext& context) {
  return std::make_unique<T>(context);
}

std::unique_ptr<Method> make_plain(const MethodContext&) { return std::make_unique<Method>(); }

constexpr std::array kMethods = {
    MethodRow{"hyperx", false, make<HyperX>},
    MethodRow{"mbert", true, make_plain},
};

}  // namespace

at::Tensor Method::plain_end(const LayerEnd& end) {
  return residual_norm(end.down.product(end.inner), end.down.bias(), end.dropout, end.residual, {}, end.norm);
}

const MethodRow& find_method(const std::string& name) {
  for (const MethodRow& row : kMethods)
    if (name == row.name) return row;
  throw UserError(ExitCode::kBadConfig, "model.method = '" + name + "' is not in this version");
}

}  // namespace hyperx::model
