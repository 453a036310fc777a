#include "model/encoder/import/e5_file.h"

#include <gmock/gmock.h>

#include <limits>
#include <memory>

#include "model/encoder/import/small_floats.h"
#include "tests/model/encoder/import/e5_sample.h"
#include "tests/support/errors.h"

namespace hyperx::model {
namespace {

using test::E5Sample;
using testing::HasSubstr;
using testing::StartsWith;
using Tensor = E5Sample::Tensor;

constexpr const char* kPath = "e5.bin";
constexpr const char* kQuery = "encoder.layer.0.attention.self.query.weight";

std::vector<float> values_of(const E5File& file, const std::string& name) {
  std::vector<float> values;
  file.read(name, [&](std::span<const float> more) { values.insert(values.end(), more.begin(), more.end()); });
  return values;
}

// Reads everything there is. The bytes lie on the heap without anything behind them, so that a sanitizer finds a read
// outside. Returns what user_error() does.
std::string error_of(const std::string& text) {
  const auto bytes = std::make_unique<char[]>(text.size());
  std::memcpy(bytes.get(), text.data(), text.size());
  return hyperx::test::user_error([&] {
    const E5File file({bytes.get(), text.size()}, kPath);
    size_t piece_bytes = 0;
    for (const std::string_view piece : file.pieces()) piece_bytes += std::string(piece).size();
    EXPECT_LE(piece_bytes, text.size());
    for (const auto& [name, shape] : encoder_tensor_shapes(file.spec())) values_of(file, name);
  });
}

TEST(E5File, ReadsSizesPiecesAndValues) {
  E5Sample sample;
  Tensor& query = sample.tensor("l0.q.w");
  query.data.replace(0, 18, std::string("\x00\x38\x0f", 3) + std::string(15, '\x98'));  // scale 0.5
  const std::string text = sample.text();
  const E5File file(text, kPath);
  const EncoderSpec& spec = file.spec();
  EXPECT_EQ(spec.hidden, 32);
  EXPECT_EQ(spec.layers, 1);
  EXPECT_EQ(spec.heads, 2);
  EXPECT_EQ(spec.intermediate, 64);
  EXPECT_EQ(spec.vocabulary, 9);
  EXPECT_EQ(spec.max_positions, 3);
  EXPECT_EQ(spec.type_vocabulary, 2);
  EXPECT_EQ(spec.layer_norm_eps, 1e-12);
  EXPECT_EQ(file.special().begin, 0);
  EXPECT_EQ(file.special().end, 2);
  EXPECT_EQ(file.special().padding, 1);
  EXPECT_EQ(file.special().unknown, 3);
  EXPECT_THAT(file.pieces(), testing::ElementsAreArray(sample.pieces));

  const std::vector<float> values = values_of(file, kQuery);
  ASSERT_EQ(values.size(), 32U * 32);
  EXPECT_EQ(values[0], 3.5F);    // low half of the first byte, 15
  EXPECT_EQ(values[16], -4.0F);  // its high half, 0
  EXPECT_EQ(values[1], 0.0F);
  EXPECT_EQ(values[17], 0.5F);
  const std::vector<float> positions = values_of(file, "embeddings.position_embeddings.weight");
  ASSERT_EQ(positions.size(), 96U);
  EXPECT_EQ(positions[3], -44.0F / 64);
}

TEST(E5File, ReadsLargeTensorsInChunks) {
  E5Sample sample;
  sample.vocabulary = 4100;  // 131,200 values: two chunks and a rest
  Tensor& words = sample.tensor("emb.word");
  words.elements = 4100 * 32;
  words.data.clear();
  for (uint32_t i = 0; i < 4100; ++i) {
    test::append(words.data, static_cast<uint16_t>(0x3c00));
    for (uint32_t j = 0; j < 16; ++j) words.data += static_cast<char>(i % 16 * 16 + j);
  }
  const std::string text = sample.text();
  const std::vector<float> values = values_of(E5File(text, kPath), "embeddings.word_embeddings.weight");
  ASSERT_EQ(values.size(), 131200U);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t row = i / 32, column = i % 32;
    ASSERT_EQ(values[i], static_cast<float>(column < 16 ? column : row % 16) - 8) << i;
  }
}

struct Fault {
  std::function<void(E5Sample&)> make;
  std::string message;
};

// A fault of one entry of the directory.
Fault entry_fault(const std::string& name, const std::function<void(Tensor&)>& change, const std::string& message) {
  const auto change_it = [=](Tensor& tensor) {
    if (tensor.name == name) change(tensor);
  };
  return {[=](E5Sample& sample) { sample.change = change_it; }, message};
}

void expect_faults(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    E5Sample sample;
    fault.make(sample);
    EXPECT_THAT(error_of(sample.text()), StartsWith("65 e5.bin: " + fault.message));
  }
}

TEST(E5File, FaultsOfTheHeaderNameFileAndField) {
  expect_faults({
      {[](E5Sample& s) { s.version = 2; }, "version is 2; only 1 can be read"},
      {[](E5Sample& s) { s.hidden = -32; }, "hidden size is -32, not a number above 0"},
      {[](E5Sample& s) { s.layers = 0; }, "number of layers is 0, not a number above 0"},
      {[](E5Sample& s) { s.layers = 0x7fffffff; },
       "number of tensors is 21; an encoder of 2147483647 layers has 34359738357"},
      {[](E5Sample& s) { s.heads = 3; }, "hidden size 32 is not a multiple of the number of heads, 3"},
      {[](E5Sample& s) { s.eps = std::numeric_limits<float>::quiet_NaN(); }, "eps of the LayerNorms is nan"},
      {[](E5Sample& s) { s.block = 64; }, "block size is 64; only 32 can be read"},
      {[](E5Sample& s) { s.vocabulary = 7; }, "number of pieces, 8, exceeds the vocabulary size, 7"},
      {[](E5Sample& s) { s.unknown = 8; }, "id of the unknown piece is 8; the pieces have ids from 0 to 7"},
      {[](E5Sample& s) { s.begin = -1; }, "id of the piece that begins a sentence is -1;"},
      {[](E5Sample& s) { s.vocabulary = 0x7fffffff; },
       "tensor 'emb.word' has 288 values; these sizes need 68719476704"},
      {[](E5Sample& s) { s.intermediate = 0x7fffffff; },
       "tensor 'l0.fi.w' has 2048 values; these sizes need 68719476704"},
  });
  EXPECT_THAT(error_of("E5S2" + E5Sample().text().substr(4)), HasSubstr("does not begin with E5S1"));
  EXPECT_THAT(error_of(""),
              HasSubstr("the mark at the beginning needs 4 bytes from byte 0, but the file ends after 0"));
}

TEST(E5File, FaultsOfThePiecesAndTheMapNameThem) {
  const std::string text = E5Sample().text();
  const size_t length_at = 4 + 4 + 7 * 4 + 4 + 4 + 5 * 4, offsets_at = length_at + 8;
  const auto with = [&](size_t at, auto number) {
    std::string changed = text;
    std::memcpy(changed.data() + at, &number, sizeof number);
    return error_of(changed);
  };
  EXPECT_THAT(with(length_at - 20, 0x7fffffff), HasSubstr("number of pieces, 2147483647, exceeds"));
  EXPECT_THAT(with(length_at, ~uint64_t{0}), HasSubstr("text of the pieces needs 18446744073709551615 bytes"));
  EXPECT_THAT(with(offsets_at, uint32_t{1}), HasSubstr("offsets of the pieces run from 1 to 30, not from 0 to 30"));
  EXPECT_THAT(with(offsets_at + 32, uint32_t{31}), HasSubstr("offsets of the pieces run from 0 to 31"));
  EXPECT_THAT(with(offsets_at + 8, uint32_t{2}), HasSubstr("offsets of piece 1, 3 and 2, are no part of the 30 bytes"));
  EXPECT_THAT(with(offsets_at + 8, uint32_t{0xffffffff}), HasSubstr("offsets of piece 1, 3 and 4294967295, are no"));
  const size_t map_at = offsets_at + 9 * 4 + 8 * 4 + 30;
  EXPECT_THAT(with(map_at, int32_t{-1}), HasSubstr("count of the normalisation map is -1, a negative number"));
  EXPECT_THAT(with(map_at + 4, uint32_t{0x7fffffff}), HasSubstr("normalisation map needs 2147483647 bytes"));
}

TEST(E5File, FaultsOfTheDirectoryNameTheTensor) {
  expect_faults({
      {[](E5Sample& s) { s.tensors.pop_back(); }, "number of tensors is 20; an encoder of 1 layers has 21"},
      entry_fault(
          "l0.k.w", [](Tensor& t) { t.name = "l1.k.w"; }, "tensor 'l0.k.w' is missing"),
      entry_fault(
          "l0.k.w", [](Tensor& t) { t.name = "l0.q.w"; }, "tensor 'l0.q.w' is there twice"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.elements = 33; }, "tensor 'l0.v.b' has 33 values; these sizes need 32"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.type = 2; }, "tensor 'l0.v.b' has the unknown type 2"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.type = 1; }, "tensor 'l0.v.b' has 128 bytes; its 32 values need 18"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.bytes = 0; }, "tensor 'l0.v.b' has 0 bytes; its 32 values need 128"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.offset = 8; }, "tensor 'l0.v.b' at byte 8 with 128 bytes is not in the"),
      entry_fault(
          "l0.v.b", [](Tensor& t) { t.offset = ~uint64_t{0}; }, "tensor 'l0.v.b' at byte 18446744073709551615"),
      entry_fault(
          "l0.oln.b", [](Tensor& t) { t.offset += 1; }, "tensor 'l0.oln.b' at byte "),
      entry_fault(
          "l0.q.b", [](Tensor& t) { t.offset += 1; }, "tensors 'l0.q.b' and 'l0.k.w' overlap"),
  });
}

TEST(E5File, BlocksMustNotCrossRows) {
  E5Sample sample;
  sample.hidden = 48;  // in two heads
  sample.tensor("emb.word").elements = 9 * 48;
  EXPECT_THAT(error_of(sample.text()),
              StartsWith("65 e5.bin: tensor 'emb.word' has rows of 48 values, not whole blocks"));
}

TEST(E5File, ValuesThatAreNotFiniteAreFaults) {
  const auto patch = [](const std::string& name, size_t at, auto number) {
    return [=](E5Sample& sample) { std::memcpy(sample.tensor(name).data.data() + at, &number, sizeof number); };
  };
  expect_faults({
      {patch("l0.fi.w", 18 * 5, uint16_t{0x7e01}),
       "tensor 'l0.fi.w': the scale of block 5 is nan, not a finite number"},
      {patch("l0.fi.w", 0, uint16_t{0xfc00}), "tensor 'l0.fi.w': the scale of block 0 is -inf, not a finite number"},
      {patch("emb.pos", 4 * 7, 0x7fc00000), "tensor 'emb.pos': value 7 is nan, not a finite number"},
  });
}

TEST(E5File, CutAnywhereItIsAFault) {
  const std::string text = E5Sample().text();
  EXPECT_EQ(error_of(text), "");
  for (size_t length = 0; length < text.size(); ++length)
    ASSERT_THAT(error_of(text.substr(0, length)), StartsWith("65 e5.bin: ")) << length;
}

TEST(E5File, AnyChangedByteIsAFaultOrAnotherEncoder) {
  const std::string text = E5Sample().text();
  size_t faults = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      const std::string error = error_of(changed);
      if (error.empty()) continue;
      ASSERT_THAT(error, StartsWith("65 e5.bin: ")) << at;
      ++faults;
    }
  }
  EXPECT_GT(faults, 2000U);  // most of the header and of the directory
}

TEST(SmallFloats, HalvesAreExact) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0F);
  EXPECT_EQ(half_to_float(0xc500), -5.0F);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0F);
  EXPECT_EQ(half_to_float(0x0400), 0x1p-14F);
  EXPECT_EQ(half_to_float(0x03ff), 0x3ffp-24F);  // below the normal numbers
  EXPECT_EQ(half_to_float(0x8001), -0x1p-24F);
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(half_to_float(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(half_to_float(0x7c01)));
}

TEST(SmallFloats, RoundingToBFloat16TakesTheNearestAndTheEvenOfTwo) {
  EXPECT_EQ(float_to_bfloat16(1.0F), 0x3f80);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // half way, to even
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3f818000U)), 0x3f82);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3f808001U)), 0x3f81);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0xbf817fffU)), 0xbf81);
  EXPECT_TRUE(is_finite_bfloat16(float_to_bfloat16(3.38e38F)));
  EXPECT_FALSE(is_finite_bfloat16(float_to_bfloat16(std::numeric_limits<float>::max())));
}

}  // namespace
}  // namespace hyperx::model
