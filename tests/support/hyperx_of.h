#pragma once

#include "model/methods/hyperx/hyperx.h"
#include "model/model.h"

namespace hyperx::model {

// The method of a model that is Hyper-X: what tests of its inside look at. Null: it is another.
inline HyperX* hyperx_of(Model& model) { return dynamic_cast<HyperX*>(&model.method()); }

inline HyperXOptions& hyperx_options(Config& config) { return config.sections.edit<HyperXOptions>(); }

}  // namespace hyperx::model
