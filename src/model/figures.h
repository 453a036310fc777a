#pragma once

#include <cstdint>

namespace hyperx::model {

// What a step reports of each of its pairs: the rows of a tensor [kFigures, pairs] fp64, without gradient. They add up
// over the pieces of a step and over ranks.
enum Figure : int64_t {
  kLoss,        // the pair's own term of the loss: Σ of the losses / label_count
  kDeviations,  // Σ |x - mean|² over the last hidden states x of the labelled rows of a piece
  kSquares,     // Σ |x|² over the same
  kFigures
};

}  // namespace hyperx::model
