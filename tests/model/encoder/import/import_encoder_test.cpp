#include "model/encoder/import/import_encoder.h"

#include <gmock/gmock.h>

#include <bit>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "model/encoder/import/e5_file.h"
#include "model/encoder/import/encoder_languages.h"
#include "model/encoder/import/small_floats.h"
#include "tests/model/encoder/import/e5_sample.h"
#include "tests/support/errors.h"

namespace hyperx::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::E5Sample;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class ImportEncoderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  EncoderImport options(WeightType type = WeightType::kBFloat16) const {
    return {path("e5.bin"), path("tokenizer.json"), path("out/e5/"), type};
  }
  void write_inputs() {
    folder_.write("e5.bin", sample_.text());
    folder_.write("tokenizer.json", sample_.tokenizer_json());
  }
  // What import_encoder() throws; nothing may be left of the folder then.
  std::string error() const {
    const std::string message = hyperx::test::user_error([&] { import_encoder(options()); });
    if (fs::exists(path("out"))) {
      EXPECT_THAT(names(path("out")), ElementsAre());
    }
    return message;
  }
  static std::vector<std::string> names(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
    return names;
  }

  hyperx::test::TemporaryFolder folder_{hyperx::test::TemporaryFolder::Where::kMemory};
  E5Sample sample_;
};

// A safetensors file: its header, and the bytes of a tensor.
struct WeightsFile {
  explicit WeightsFile(const std::string& path) : text(read_file(path)) {
    uint64_t length = 0;
    std::memcpy(&length, text.data(), sizeof length);
    header = json::parse(text.substr(sizeof length, length));
    data = sizeof length + length;
  }
  std::string bytes(const std::string& name) const {
    const json& offsets = header.at(name).at("data_offsets");
    return text.substr(data + offsets[0].get<size_t>(), offsets[1].get<size_t>() - offsets[0].get<size_t>());
  }
  std::string text;
  json header;
  size_t data = 0;
};

TEST_F(ImportEncoderTest, WritesAFolderThatOurReaderTakes) {
  write_inputs();
  const ImportedEncoder written = import_encoder(options());
  EXPECT_EQ(written.folder, path("out/e5"));
  EXPECT_EQ(written.language_count, 94);
  EXPECT_EQ(static_cast<uint64_t>(written.weight_bytes), fs::file_size(path("out/e5/model.safetensors")));
  EXPECT_THAT(names(path("out")), ElementsAre("e5"));
  EXPECT_THAT(names(path("out/e5")), UnorderedElementsAre("config.json", "model.safetensors", "tokenizer.json",
                                                          "tokenizer_config.json", "languages.txt", "README.md"));
  const EncoderSpec spec = read_encoder_spec(path("out/e5"));
  EXPECT_EQ(spec.hidden, 32);
  EXPECT_EQ(spec.layers, 1);
  EXPECT_EQ(spec.heads, 2);
  EXPECT_EQ(spec.intermediate, 64);
  EXPECT_EQ(spec.vocabulary, 9);
  EXPECT_EQ(spec.max_positions, 3);
  EXPECT_EQ(spec.type_vocabulary, 2);
  EXPECT_EQ(spec.layer_norm_eps, 1e-12);
  const json config = json::parse(read_file(path("out/e5/config.json")));
  EXPECT_EQ(config.at("model_type"), "bert");
  EXPECT_EQ(config.at("pad_token_id"), 0);
  EXPECT_THAT(read_file(path("out/e5/config.json")), HasSubstr("\"layer_norm_eps\": 1e-12,"));
  const json tokenizer = json::parse(read_file(path("out/e5/tokenizer_config.json")));
  EXPECT_EQ(tokenizer.at("tokenizer_class"), "PreTrainedTokenizerFast");
  EXPECT_EQ(tokenizer.at("sep_token"), "</s>");
  EXPECT_EQ(tokenizer.at("pad_token"), "<pad>");
  EXPECT_EQ(tokenizer.at("model_max_length"), 3);
  EXPECT_EQ(read_file(path("out/e5/tokenizer.json")), sample_.tokenizer_json());
  EXPECT_THAT(read_file(path("out/e5/languages.txt")), testing::ContainsRegex("^af\nam\nar\n(.*\n)+zh\n$"));
  EXPECT_THAT(read_file(path("out/e5/README.md")), HasSubstr("MIT"));
}

TEST_F(ImportEncoderTest, WritesEveryTensorUnderItsNameInBothTypes) {
  write_inputs();
  import_encoder(options());
  const WeightsFile rounded(path("out/e5/model.safetensors"));
  fs::remove_all(path("out"));
  import_encoder(options(WeightType::kFloat32));
  const WeightsFile exact(path("out/e5/model.safetensors"));
  const std::string text = sample_.text();
  const E5File file(text, "e5.bin");
  const TensorShapes shapes = encoder_tensor_shapes(file.spec());
  EXPECT_EQ(rounded.header.size(), shapes.size() + 1);
  EXPECT_EQ(rounded.header.at("__metadata__").at("format"), "pt");
  EXPECT_EQ(rounded.data % 64, 0U);
  for (const auto& [name, shape] : shapes) {
    EXPECT_EQ(rounded.header.at(name).at("dtype"), "BF16") << name;
    EXPECT_EQ(exact.header.at(name).at("dtype"), "F32") << name;
    EXPECT_EQ(rounded.header.at(name).at("shape"), json(shape)) << name;
    std::string as_read, as_rounded;
    file.read(name, [&](std::span<const float> values) {
      for (const float value : values) {
        test::append(as_read, value);
        test::append(as_rounded, float_to_bfloat16(value));
      }
    });
    EXPECT_EQ(exact.bytes(name), as_read) << name;
    EXPECT_EQ(rounded.bytes(name), as_rounded) << name;
  }
}

// The names of a real encoder's parts, by a tensor that only one of them can have.
TEST_F(ImportEncoderTest, PartsOfALayerKeepTheirPlaces) {
  for (E5Sample::Tensor& tensor : sample_.tensors)
    if (tensor.name.ends_with(".b"))
      for (size_t at = 0; at < tensor.data.size(); at += 4) {
        const auto value = static_cast<float>(&tensor - sample_.tensors.data());
        std::memcpy(tensor.data.data() + at, &value, sizeof value);
      }
  write_inputs();
  import_encoder(options(WeightType::kFloat32));
  const WeightsFile file(path("out/e5/model.safetensors"));
  const std::vector<std::pair<const char*, float>> places = {
      {"embeddings.LayerNorm", 4},
      {"encoder.layer.0.attention.self.query", 6},
      {"encoder.layer.0.attention.self.key", 8},
      {"encoder.layer.0.attention.self.value", 10},
      {"encoder.layer.0.attention.output.dense", 12},
      {"encoder.layer.0.attention.output.LayerNorm", 14},
      {"encoder.layer.0.intermediate.dense", 16},
      {"encoder.layer.0.output.dense", 18},
      {"encoder.layer.0.output.LayerNorm", 20},
  };
  for (const auto& [name, place] : places) {
    float value = 0;
    std::memcpy(&value, file.bytes(std::string(name) + ".bias").data(), sizeof value);
    EXPECT_EQ(value, place) << name;
  }
}

TEST_F(ImportEncoderTest, AnExistingFolderIsRefusedAndStays) {
  write_inputs();
  fs::create_directories(path("out/e5"));
  EXPECT_EQ(hyperx::test::user_error([&] { import_encoder(options()); }),
            "73 " + path("out/e5") + " exists already; remove it, or name another folder");
  EXPECT_THAT(names(path("out/e5")), ElementsAre());
}

TEST_F(ImportEncoderTest, AFaultLeavesNothingBehind) {
  EXPECT_THAT(error(), StartsWith("66 " + path("e5.bin") + ": cannot be opened"));
  std::memcpy(sample_.tensor("l0.oln.b").data.data(), "\xff\xff\xff\x7f", 4);  // the last tensor to be written
  write_inputs();
  EXPECT_THAT(error(), StartsWith("65 " + path("e5.bin") + ": tensor 'l0.oln.b': value 0 is nan"));
  std::memcpy(sample_.tensor("l0.oln.b").data.data(), "\xff\xff\x7f\x7f", 4);
  write_inputs();
  EXPECT_EQ(error(), "65 " + path("e5.bin") +
                         ": a value of encoder.layer.0.output.LayerNorm.bias is too large for bf16: give --type fp32");
  import_encoder(options(WeightType::kFloat32));
  EXPECT_THAT(names(path("out")), ElementsAre("e5"));
}

TEST_F(ImportEncoderTest, TokenizerMustHaveTheSamePieces) {
  write_inputs();
  const std::string tokenizer = path("tokenizer.json"), start = "65 " + tokenizer + ": ";
  const auto error_with = [&](const std::string& text) {
    folder_.write("tokenizer.json", text);
    return error();
  };
  E5Sample other;
  other.pieces[4] = ";";
  EXPECT_EQ(error_with(other.tokenizer_json()),
            start + "piece 4 is ';', in " + path("e5.bin") + " it is ',': the two files do not belong together");
  other.pieces.pop_back();
  EXPECT_EQ(error_with(other.tokenizer_json()),
            start + "has 7 pieces, " + path("e5.bin") + " has 8: the two files do not belong together");
  EXPECT_THAT(error_with(R"({"model":{"type":"BPE","vocab":[]}})"), StartsWith(start + "model.type is not Unigram"));
  EXPECT_EQ(error_with(R"({"model":{"type":"Unigram","vocab":{}}})"), start + "model.vocab is {}, not a list");
  EXPECT_EQ(error_with(R"({"model":{"type":"Unigram","vocab":[1,2,3,4,5,6,7,8]}})"),
            start + "model.vocab[0] is not a piece and its score");
  EXPECT_THAT(error_with("[]"), StartsWith(start + "model.type is not"));
  const std::string whole = sample_.tokenizer_json();
  for (size_t length = 0; length + 2 < whole.size(); ++length)
    ASSERT_THAT(error_with(whole.substr(0, length)), StartsWith(start + "is not JSON")) << length;
}

TEST_F(ImportEncoderTest, AVocabularyWithoutMaskIsAFault) {
  sample_.pieces.back() = "mask";
  write_inputs();
  EXPECT_EQ(error(), "65 " + path("e5.bin") + ": has no piece <mask>");
}

TEST(EncoderLanguages, AreTheRowsWithAOne) {
  const std::vector<std::string> xlmr = encoder_languages("xlmr"), mbert = encoder_languages("mbert");
  EXPECT_EQ(xlmr.size(), 94U);
  EXPECT_TRUE(std::is_sorted(xlmr.begin(), xlmr.end()));
  for (const char* code : {"en", "sa", "ug", "tl"}) EXPECT_THAT(xlmr, testing::Contains(code));
  EXPECT_THAT(xlmr, testing::Not(testing::Contains("yo")));
  EXPECT_THAT(mbert, testing::Contains("yo"));
  EXPECT_THAT(mbert, testing::Not(testing::Contains("sa")));
}

// The real files, against a Python program of its own.
TEST_F(ImportEncoderTest, TheRealFilesGiveTheValuesThatPythonReads) {
  const char* const source = std::getenv("HYPERX_E5_DIR");
  if (source == nullptr) GTEST_SKIP() << "HYPERX_E5_DIR is not set: a folder with e5-small-q4.bin and tokenizer.json";
  const char* const python = std::getenv("HYPERX_TEST_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "HYPERX_TEST_PYTHON is not set: a Python with numpy";
  const std::string weights = std::string(source) + "/e5-small-q4.bin";
  for (const WeightType type : {WeightType::kBFloat16, WeightType::kFloat32}) {
    const ImportedEncoder written =
        import_encoder({weights, std::string(source) + "/tokenizer.json", path("e5"), type});
    EXPECT_EQ(written.spec.layers, 12);
    EXPECT_EQ(read_encoder_spec(path("e5")).vocabulary, 250037);
    const std::string command = std::string(python) + " " + HYPERX_SOURCE_DIR +
                                "/tests/tools/check_imported_encoder.py " + weights + " " + path("e5") + " > " +
                                path("report") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(path("report"));
    fs::remove_all(path("e5"));
  }
}

}  // namespace
}  // namespace hyperx::model
