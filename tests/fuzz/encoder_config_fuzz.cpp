#include "model/encoder/encoder_spec.h"
#include "tests/fuzz/fuzz.h"

// An encoder's config.json, and the sizes that follow from it.
void hyperx::fuzz::parse(std::string_view input) {
  write("config.json", input);
  for (const int64_t layers : {0, 2}) {
    may_refuse([&] {
      const model::EncoderSpec spec = model::read_encoder_spec(folder(), layers);
      HYPERX_CHECK(model::encoder_sizes(spec).without_norms() > 0 && spec.head_dim() > 0, "an encoder without weights");
    });
  }
}
