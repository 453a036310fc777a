#pragma once

#include "model/encoder/encoder_spec.h"

namespace hyperx::test {

// bert-base-multilingual-cased.
inline model::EncoderSpec mbert_sizes() { return {768, 12, 12, 3072, 119547, 512, 2}; }

}  // namespace hyperx::test
