// The tokeniser against the reference's own ids: every file, every odd string, every code point.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/digest.h"
#include "common/files.h"
#include "data/tokenizer/utf8.h"
#include "data/tokenizer/word_piece.h"
#include "tests/data/test_data.h"

namespace hyperx::data {
namespace {

const std::string kOracle = test::kReferenceCases + "tokenizer/";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// What tests/golden/cases/README.md says: the words of a file, by its format; read apart from the program's readers.
struct OracleFile {
  std::string path;
  bool skip(const std::string& line) const {
    if (!has_ids()) return false;
    const std::string id = line.substr(0, line.find('\t'));
    return line[0] == '#' || id.empty() ||
           !std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  std::string word(const std::string& line) const {
    if (has_ids()) return split(line, '\t').at(1);
    if (path.starts_with("wikiann")) return line.substr(line.find(':') + 1, line.find('\t') - line.find(':') - 1);
    if (path.ends_with(".conll")) return line.substr(0, line.find('\t'));
    return line.substr(0, line.rfind(' '));
  }
  bool has_ids() const { return path.ends_with(".conllu") || path.find("uner_") != std::string::npos; }
};

// The stream of 32-bit ids that the digests are of, and its counts.
class IdStream {
 public:
  void add(const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) put(static_cast<uint32_t>(id));
    subwords += ids.size();
    empty += ids.empty();
    unk += static_cast<size_t>(std::count(ids.begin(), ids.end(), 100));
  }
  void end_word() { put(0xFFFFFFFFU); }
  void end_sentence() { put(0xFFFFFFFEU); }
  std::string hex() const { return sha256_hex(bytes_); }
  size_t subwords = 0, empty = 0, unk = 0;

 private:
  void put(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) bytes_.push_back(static_cast<char>(value >> shift));
  }
  std::string bytes_;
};

IdStream stream_of(const WordPiece& tokenizer, const std::string& data, const OracleFile& file, bool words) {
  IdStream stream;
  std::vector<int32_t> ids;
  bool open = false;
  std::istringstream text(read_file(data + file.path));
  for (std::string line; std::getline(text, line);) {
    ids.clear();
    if (!words) {
      tokenizer.line(line, ids);
      stream.add(ids);
      stream.end_sentence();
    } else if (line.empty()) {
      if (std::exchange(open, false)) stream.end_sentence();
    } else if (!file.skip(line)) {
      tokenizer.word(file.word(line), ids);
      stream.add(ids);
      stream.end_word();
      open = true;
    }
  }
  if (open) stream.end_sentence();
  return stream;
}

class WordPieceOracle : public ::testing::Test {
 protected:
  WordPiece tokenizer_ = WordPiece::from_folder(test::kEncoder);
};

TEST_F(WordPieceOracle, EveryFileHasTheReferencesIds) {
  if (!test::collection()) GTEST_SKIP() << test::kNoCollection;
  const auto rows = split(read_file(kOracle + "tokenizer.tsv"), '\n');
  for (size_t i = 1; i < rows.size(); ++i) {
    const auto row = split(rows[i], '\t');
    const IdStream stream = stream_of(tokenizer_, *test::collection(), {row[0]}, row[1] == "words");
    EXPECT_EQ(stream.subwords, std::stoul(row[4])) << row[0];
    EXPECT_EQ(stream.unk, std::stoul(row[5])) << row[0];
    EXPECT_EQ(stream.empty, std::stoul(row[6])) << row[0];
    EXPECT_EQ(stream.hex(), row[9]) << row[0];
  }
  EXPECT_GT(rows.size(), 90U);
}

TEST_F(WordPieceOracle, EveryOddStringHasTheReferencesIds) {
  std::istringstream lines(read_file(kOracle + "strings.jsonl"));
  int strings = 0;
  for (std::string line; std::getline(lines, line); ++strings) {
    const auto row = nlohmann::json::parse(line);
    const auto text = row["text"].get<std::string>();
    std::vector<int32_t> ids, word_ids;
    tokenizer_.line(text, ids);
    tokenizer_.word(text, word_ids);
    EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>()) << line;
    EXPECT_EQ(word_ids,
              (row.contains("ids_as_one_word") ? row["ids_as_one_word"] : row["ids"]).get<std::vector<int32_t>>())
        << line;
  }
  EXPECT_EQ(strings, 531);
}

// A vocabulary that shows, by its ids, what became of the character between two letters.
TEST_F(WordPieceOracle, EveryCodePointIsOfTheReferencesClass) {
  const auto rows = split(read_file(kOracle + "codepoints.tsv"), '\n');
  const WordPiece probe = WordPiece::from_text("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\nb\nab\n##b\n", {}, "probe");
  const std::map<std::string, std::vector<int32_t>> expected = {
      {"removed", {7}}, {"space", {5, 6}}, {"alone", {5, 0, 6}}, {"inside", {0}}};
  char32_t covered = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    const auto row = split(rows[i], '\t');
    const auto first = static_cast<char32_t>(std::stoul(row[0], nullptr, 16));
    const auto last = static_cast<char32_t>(std::stoul(row[1], nullptr, 16));
    for (char32_t c = first; c <= last; ++c, ++covered) {
      if (c >= 0xD800 && c < 0xE000) continue;
      if (c == 'a' || c == 'b') continue;  // letters of the probe
      std::string text = "a";
      append_utf8(c, text);
      text += 'b';
      std::vector<int32_t> ids;
      probe.line(text, ids);
      ASSERT_EQ(ids, expected.at(row[2])) << std::hex << static_cast<uint32_t>(c);
    }
  }
  EXPECT_GE(covered, 0x110000U - 0x800U);
}

}  // namespace
}  // namespace hyperx::data
