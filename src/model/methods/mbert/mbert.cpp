#include "model/methods/method.h"

namespace hyperx::model {

// Full fine-tuning (docs/method.md section 5): every encoder parameter is trained, and nothing is added.
std::unique_ptr<Method> make_mbert(const MethodContext&) { return std::make_unique<Method>(); }

}  // namespace hyperx::model
