#include "tests/fuzz/fuzz.h"
#include "trainer/checkpoint/manifest_text.h"

// A checkpoint's manifest.json, as it is and with the right digest of itself.
void hyperx::fuzz::parse(std::string_view input) {
  may_refuse([&] { train::parse_manifest(std::string(input), "manifest.json"); });
  train::parse_manifest(with_right_digest(input, "\"manifest_xxh128\": \""), "manifest.json");
}
