#include "data/tokenizer/unigram/unigram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "common/files.h"
#include "data/tokenizer/unigram/proto_bytes.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;
using nlohmann::json;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// XLM-R's own character map, with pieces of our own.
json real_file() { return json::parse(read_file(test::kReferenceCases + "xlmr_masked_lm/encoder/tokenizer.json")); }

json small_file() {
  json file = real_file();
  file["model"]["vocab"] = json::parse(R"([["<s>", 0], ["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["a", -3],
    ["b", -3.4], ["ab", -4], ["▁a", -2.5], ["中", -5], ["<mask>", 0]])");
  file["added_tokens"].back()["id"] = 10;
  return file;
}

class UnigramTest : public ::testing::Test {
 protected:
  std::unique_ptr<const Tokenizer> load(const json& file) {
    folder_.write("tokenizer.json", file.dump());
    return Tokenizer::load(folder_.path());
  }
  std::vector<int32_t> ids_of(const json& file, const std::string& text) {
    std::vector<int32_t> ids;
    load(file)->line(text, ids);
    return ids;
  }
  std::string refusal(const json& file) {
    return user_error([&] { load(file); });
  }

  TemporaryFolder folder_;
};

TEST_F(UnigramTest, TheLargestSumOfScoresWins) {
  const json file = small_file();
  EXPECT_THAT(ids_of(file, "ab"), ElementsAre(8, 6));             // ▁a b: -5.9; ▁ ab: -6.0; ▁ a b: -8.4
  EXPECT_THAT(ids_of(file, "bab"), ElementsAre(4, 6, 7));         // ▁ b ab
  EXPECT_THAT(ids_of(file, "a xyz a"), ElementsAre(8, 4, 3, 8));  // characters that are unknown count once together
  EXPECT_THAT(ids_of(file, "\uff41"), ElementsAre(8));            // full width: the character map
}

TEST_F(UnigramTest, BlanksAsHuggingFaceWritesThem) {
  const json file = small_file();
  EXPECT_THAT(ids_of(file, ""), ElementsAre());
  EXPECT_THAT(ids_of(file, " \t "), ElementsAre(4));
  EXPECT_THAT(ids_of(file, "  a \u3000 a  "), ElementsAre(8, 8, 4));
  EXPECT_THAT(ids_of(file, "a</s>a<mask> a"), ElementsAre(8, 2, 8, 10, 8));
  json split = file;
  split["pre_tokenizer"] = json::parse(R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}]})");
  split["pre_tokenizer"]["pretokenizers"].push_back(file["pre_tokenizer"]);
  EXPECT_THAT(ids_of(split, " \t "), ElementsAre());
  EXPECT_THAT(ids_of(split, "  a \u3000 a  "), ElementsAre(8, 8));
  json stripping = file;
  stripping["added_tokens"].back()["lstrip"] = true;
  EXPECT_THAT(ids_of(file, "a <mask>"), ElementsAre(8, 4, 10));
  EXPECT_THAT(ids_of(stripping, "a <mask>"), ElementsAre(8, 10));
}

TEST_F(UnigramTest, KnowsItsSpecialTokensAndItsBlank) {
  const auto tokenizer = load(small_file());
  const SpecialIds& special = tokenizer->special();
  EXPECT_THAT((std::vector{special.begin, special.end, special.mask, special.pad, special.unknown}),
              ElementsAre(0, 2, 10, 1, 3));
  EXPECT_EQ(tokenizer->size(), 11);
  EXPECT_EQ(tokenizer->token(7), "ab");
  EXPECT_EQ(tokenizer->blank(), 4);
  EXPECT_EQ(resolved_label_position("auto", *tokenizer), "after-blank");
  EXPECT_EQ(label_place(std::vector{4, 9, 5}, *tokenizer, "after-blank"), 1U);
  EXPECT_EQ(label_place(std::vector{4, 9, 5}, *tokenizer, "first"), 0U);
  EXPECT_EQ(label_place(std::vector{4}, *tokenizer, "after-blank"), 0U);
  json other = small_file();
  other["model"]["vocab"][5][1] = -3.25;
  EXPECT_NE(load(other)->digest(), tokenizer->digest());
}

TEST_F(UnigramTest, ASentencePieceModelGivesTheSameIds) {
  const json file = real_file();
  ProtoWriter model;
  model.bytes(1, ProtoWriter().bytes(1, "<unk>").number(2, 0).integer(3, 2).text());
  for (const char* control : {"<s>", "</s>"}) model.bytes(1, ProtoWriter().bytes(1, control).integer(3, 3).text());
  const json& pieces = file["model"]["vocab"];
  for (size_t i = 4; i + 1 < pieces.size(); ++i)
    model.bytes(1, ProtoWriter().bytes(1, pieces[i][0].get<std::string>()).number(2, pieces[i][1]).text());
  model.bytes(2, ProtoWriter().integer(3, 1).text());
  TemporaryFolder other;
  other.write("sentencepiece.bpe.model", model.text());
  const auto theirs = load(file), ours = Tokenizer::load(other.path());
  EXPECT_EQ(ours->size(), theirs->size());
  EXPECT_EQ(ours->special().mask, theirs->special().mask);
  for (const char* text : {"Hemm b\u017conn li nibqg\u0127u sodi.", "a<mask> b", "F'din il-\u0127ajja \u4e2d"}) {
    std::vector<int32_t> expected, found;
    theirs->line(text, expected);
    ours->line(text, found);
    EXPECT_EQ(found, expected) << text;
  }
  const std::string whole = model.text();
  for (size_t size = 0; size < whole.size(); size += 1 + size / 20) {  // cut anywhere: refused, or fewer pieces
    other.write("sentencepiece.bpe.model", whole.substr(0, size));
    const std::string error = user_error([&] { Tokenizer::load(other.path()); });
    if (!error.empty()) {
      EXPECT_THAT(error, StartsWith("65 " + other.path("sentencepiece.bpe.model"))) << size;
    }
  }
}

// What comes from elsewhere may hold anything: an error that names file and key.
TEST_F(UnigramTest, HostileFilesAreRefused) {
  const std::string file = "65 " + folder_.path("tokenizer.json") + ": ";
  const auto with = [](const std::function<void(json&)>& change) {
    json changed = small_file();
    change(changed);
    return changed;
  };
  const auto map_of = [](const json& changed) {
    return changed["normalizer"]["normalizers"][0]["precompiled_charsmap"];
  };
  const std::vector<std::pair<json, std::string>> cases = {
      {with([](json& f) { f["model"]["vocab"][6][0] = "a"; }), "piece 6 is there twice: 'a'"},
      {with([](json& f) { f["model"]["vocab"][6][0] = ""; }), "piece 6 is empty"},
      {with([](json& f) { f["model"]["vocab"][6][0] = std::string("x\0y", 3); }), "piece 6 is empty or holds a zero"},
      {with([](json& f) { f["model"]["vocab"][6][1] = 1e300; }), "piece 6 has a score that is not finite"},
      {with([](json& f) { f["model"]["vocab"][6][1] = "1"; }), "model.vocab[6] is not a piece and its score"},
      {with([](json& f) { f["model"]["vocab"] = 7; }), "model.vocab is 7, not a list"},
      {with([](json& f) { f["model"].erase("unk_id"); }), "model has no 'unk_id'"},
      {with([](json& f) { f["model"]["unk_id"] = 11; }), "model.unk_id is 11, not a whole number from 0 to 10"},
      {with([](json& f) { f["added_tokens"][1]["id"] = 900; }), "added_tokens[1].id is 900"},
      {with([](json& f) { f["added_tokens"][1]["content"] = "<PAD>"; }),
       "added_tokens[1] is '<PAD>', but piece 1 is '<pad>'"},
      {with([](json& f) {
         f["model"]["vocab"][10][0] = "<other>";
         f["added_tokens"].erase(4);
       }),
       "the token <mask> is missing"},
      {with([](json& f) { f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "A*C="; }),
       "precompiled_charsmap is not base64"},
      {with([](json& f) { f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "AAAA"; }),
       "precompiled_charsmap is cut off"},
      {with([](json& f) { f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "/////w=="; }),
       "has a trie of 4294967295 bytes"},
      {with([](json& f) { f["normalizer"]["type"] = "NFKC"; }), "normalizer is a normaliser of type NFKC"},
      {with([](json& f) { f["pre_tokenizer"]["replacement"] = "_"; }), "pre_tokenizer is Metaspace with options"},
      {with([](json& f) { f["pre_tokenizer"]["type"] = "ByteLevel"; }),
       "pre_tokenizer is a pre-tokenizer of type ByteLevel"},
  };
  for (const auto& [changed, message] : cases)
    EXPECT_THAT(refusal(changed), AllOf(StartsWith(file), HasSubstr(message)));
  const std::string text = small_file().dump();
  for (const size_t size : {size_t{0}, size_t{1}, text.size() / 2, text.size() - 1}) {
    folder_.write("tokenizer.json", text.substr(0, size));
    EXPECT_THAT(user_error([&] { Tokenizer::load(folder_.path()); }),
                AllOf(StartsWith(file), HasSubstr("is not JSON")));
  }
  EXPECT_FALSE(map_of(small_file()).empty());
  json word_piece = small_file();
  word_piece["model"] = {{"type", "WordPiece"}};
  EXPECT_THAT(refusal(word_piece), AllOf(StartsWith("66 " + folder_.path()), HasSubstr("sentencepiece.bpe.model")));
}

// Larger than any vocabulary in use: read in seconds, and one piece twice is still found.
TEST_F(UnigramTest, AMillionPiecesAreRead) {
  constexpr int kPieces = 1000000;
  json file = small_file();
  json& pieces = file["model"]["vocab"];
  pieces.erase(pieces.end() - 1);
  while (pieces.size() + 1 < kPieces) pieces.push_back({std::to_string(pieces.size()), -20.0});
  pieces.push_back({"<mask>", 0});
  file["added_tokens"].back()["id"] = kPieces - 1;
  EXPECT_THAT(ids_of(file, "999998a"), ElementsAre(4, 999998, 5));
  pieces[kPieces - 2][0] = "12345";
  EXPECT_THAT(refusal(file), HasSubstr("piece 999998 is there twice: '12345'"));
}

// Units of a trie that point anywhere: refused, or every look-up stays inside (the sanitizers watch).
TEST_F(UnigramTest, AnyMapIsRefusedOrSafe) {
  uint64_t state = 1;
  const auto draw = [&state] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = {0, 8, 0, 0};  // 2,048 bytes of trie
    for (int i = 0; i < 512; ++i) {
      const auto unit = static_cast<uint32_t>(draw() >> 32) & (round % 2 == 0 ? 0xFFFFFFFFU : 0x0003FDFFU);
      bytes.append(reinterpret_cast<const char*>(&unit), sizeof unit);
    }
    bytes += std::string("abc\0def\0", 8);
    try {
      const NormalizationMap map(bytes);
      std::string text;
      for (int i = 0; i < 200; ++i) text += static_cast<char>(draw() >> 40);
      map.normalize(text);
    } catch (const std::runtime_error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

// PyPI's `tokenizers` on 570 odd strings and their words; ids may differ where two segmentations have the same sum.
TEST(UnigramOracle, OddStringsHaveTheReferencesIds) {
  const char* const folder = std::getenv("HYPERX_E5_DIR");
  if (folder == nullptr) GTEST_SKIP() << "HYPERX_E5_DIR is not set: launch/setup imports the encoder";
  const auto tokenizer = Tokenizer::load(folder);
  const json scores = json::parse(read_file(std::string(folder) + "/tokenizer.json"))["model"]["vocab"];
  const auto sum_of = [&](const std::vector<int32_t>& ids) {
    double sum = 0;
    for (const int32_t id : ids) sum += scores[static_cast<size_t>(id)][1].get<double>();
    return sum;
  };
  int compared = 0, ties = 0;
  const auto compare = [&](const std::string& text, const std::vector<int32_t>& expected) {
    std::vector<int32_t> ids;
    tokenizer->line(text, ids);
    ++compared;
    if (ids == expected) return;
    ++ties;
    EXPECT_NEAR(sum_of(ids), sum_of(expected), 1e-4) << text;
  };
  std::istringstream lines(read_file(test::kReferenceCases + "unigram/strings.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const json row = json::parse(line);
    compare(row["text"], row["ids"]);
    for (const json& word : row["words"]) compare(word[0], word[1]);
  }
  std::printf("%d texts and words, %d with another segmentation of the same score\n", compared, ties);
  EXPECT_EQ(compared, 1445);
  EXPECT_LE(ties, 10);
}

}  // namespace
}  // namespace hyperx::data
