#include "model/heads/head_spec.h"

namespace hyperx::model {
namespace {

// Products per weight: forward and gradient of the input, and, for a trained weight, its own gradient.
constexpr double kFrozenPasses = 2, kTrainedPasses = 3;

HeadCosts costs_of(const HeadQuestion& question) {
  const int64_t h = question.encoder.hidden, vocabulary = question.encoder.vocabulary;
  const bool decoder_is_trained = question.trained_decoder || question.trains_encoder;
  HeadCosts costs;
  costs.classes = vocabulary;
  costs.values = h * h + 3 * h + vocabulary + (question.trained_decoder ? vocabulary * h : 0);
  costs.products = kTrainedPasses * static_cast<double>(h * h) +
                   (decoder_is_trained ? kTrainedPasses : kFrozenPasses) * static_cast<double>(vocabulary * h);
  costs.copied_values = vocabulary * h;
  return costs;
}

}  // namespace

HeadSpec masked_words_spec() { return {"masked_words", costs_of}; }

}  // namespace hyperx::model
