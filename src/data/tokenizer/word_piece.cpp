#include "data/tokenizer/word_piece.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"
#include "data/tokenizer/sub_word_trie.h"
#include "data/tokenizer/unicode_classes.h"
#include "data/tokenizer/utf8.h"
#include "data/tokenizer/vocabulary.h"
#include "data/tokenizer/word_buffer.h"

namespace hyperx::data {
namespace {

constexpr std::string_view kContinuationPrefix = "##";

// tokenizer_config.json next to the vocabulary; error messages name it.
class TokenizerConfig {
 public:
  explicit TokenizerConfig(const std::string& path) : path_(path) {
    if (kind_of(path) == PathKind::kNothing) return;
    json_ = parse_json(read_file(path), path, "fetch the file again, or remove it");
    if (!json_.is_object()) fail("is not a JSON object: fetch the file again, or remove it");
  }

  std::optional<bool> flag(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return std::nullopt;
    if (!found->is_boolean()) fail(fmt::format("{} is {}: write true, false or null", key, shown(*found)));
    return found->get<bool>();
  }
  // A token is a string, or an object whose "content" is one.
  std::string token(const char* key, const std::string& fallback) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return fallback;
    const nlohmann::json value = found->is_object() ? found->value("content", nlohmann::json()) : *found;
    if (!value.is_string() || value.get<std::string>().empty())
      fail(fmt::format("{} is {}: write a string", key, shown(*found)));
    return value.get<std::string>();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw UserError(ExitCode::kBadData, path_ + ": " + what); }

  std::string path_;
  nlohmann::json json_ = nlohmann::json::object();
};

SubWordTrie make_trie(const Vocabulary& vocabulary) {
  std::vector<SubWordTrie::Entry> beginnings, continuations;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    std::string_view text = vocabulary.token(id);
    beginnings.push_back({text, id});
    if (text.size() > kContinuationPrefix.size() && text.starts_with(kContinuationPrefix))
      continuations.push_back({text.substr(kContinuationPrefix.size()), id});
  }
  return {std::move(beginnings), std::move(continuations)};
}

std::string digest_of(const Vocabulary& vocabulary, const WordPieceOptions& options) {
  Sha256 digest;
  digest.update(fmt::format("wordpiece 1\nlower_case {}\nstrip_accents {}\nsplit_chinese {}\n{}\n{}\n{}\n{}\n{}\n",
                            options.lower_case, options.strip_accents, options.split_chinese_characters,
                            options.unk_token, options.cls_token, options.sep_token, options.pad_token,
                            options.mask_token));
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    digest.update(vocabulary.token(id));
    digest.update("\n");
  }
  return digest.hex();
}

}  // namespace

struct WordPiece::State {
  struct Written {
    std::string text;
    int32_t id;
  };

  State(Vocabulary words, WordPieceOptions chosen)
      : vocabulary(std::move(words)),
        options(std::move(chosen)),
        trie(make_trie(vocabulary)),
        classes(make_class_table(options.split_chinese_characters)),
        digest(digest_of(vocabulary, options)) {
    const auto add = [&](const std::string& text) {
      written.push_back({text, vocabulary.require(text)});
      return written.back().id;
    };
    special.unknown = add(options.unk_token);
    special.begin = add(options.cls_token);
    special.end = add(options.sep_token);
    special.pad = add(options.pad_token);
    special.mask = add(options.mask_token);
    for (char32_t c = 0; c < 128; ++c) ascii_classes[c] = classes[c];
    if (options.lower_case || options.strip_accents) map.emplace(options.strip_accents, options.lower_case);
  }

  const Written* find_special(std::string_view text, size_t from, size_t& place) const;
  void tokenize(std::string_view text, std::vector<int32_t>& ids) const;
  void tokenize_mapped(std::string_view text, std::vector<int32_t>& ids) const;
  size_t tokenize_plain_word(std::string_view text, std::vector<int32_t>& ids) const;
  void push_mapped(char32_t code_point, CharacterClass kind, WordBuffer& word, std::vector<int32_t>& ids) const;
  void emit(std::string_view word, std::vector<int32_t>& ids) const;
  void flush(WordBuffer& word, std::vector<int32_t>& ids) const;

  Vocabulary vocabulary;
  WordPieceOptions options;
  SubWordTrie trie;
  CodePointTable<CharacterClass> classes;
  std::array<CharacterClass, 128> ascii_classes{};
  std::optional<CharacterMap> map;  // absent: words are substrings of the text itself
  SpecialIds special;
  std::vector<Written> written;  // the special tokens as they may appear in a text
  std::string digest;
};

// The first special token at or after `from`; if several begin there, the longest.
const WordPiece::State::Written* WordPiece::State::find_special(std::string_view text, size_t from,
                                                                size_t& place) const {
  const Written* found = nullptr;
  place = std::string_view::npos;
  std::array<bool, 256> searched{};
  for (const Written& token : written) {
    const char first = token.text.front();
    if (std::exchange(searched[static_cast<unsigned char>(first)], true)) continue;
    for (size_t at = text.find(first, from); at < place; at = text.find(first, at + 1)) {
      const Written* here = nullptr;
      for (const Written& other : written)
        if (text.substr(at).starts_with(other.text) && (here == nullptr || other.text.size() > here->text.size()))
          here = &other;
      if (here == nullptr) continue;
      found = here;
      place = at;
    }
  }
  return found;
}

// Greedy longest match from the left; a word with any part that is not in the vocabulary is [UNK] as a whole.
void WordPiece::State::emit(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  for (bool continues = false; !word.empty(); continues = true) {
    const SubWordTrie::Match match = trie.longest(word, continues);
    if (match.id < 0) {
      ids.resize(before);
      ids.push_back(special.unknown);
      return;
    }
    ids.push_back(match.id);
    word.remove_prefix(match.length);
  }
}

void WordPiece::State::flush(WordBuffer& word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (word.too_long())
    ids.push_back(special.unknown);
  else
    emit(word.view(), ids);
  word.clear();
}

// Tokenises the word (inside and removed characters) at the beginning of `text`, without a copy unless characters must
// be removed from it. Returns its length in bytes.
size_t WordPiece::State::tokenize_plain_word(std::string_view text, std::vector<int32_t>& ids) const {
  size_t end = 0, code_points = 0;
  CharacterClass kind = CharacterClass::kInside;
  while (end < text.size()) {
    size_t next = end;
    const auto byte = static_cast<unsigned char>(text[end]);
    kind = byte < 128 ? (++next, ascii_classes[byte]) : classes[decode_utf8(text, next)];
    if (kind != CharacterClass::kInside) break;
    end = next;
    ++code_points;
  }
  if (kind != CharacterClass::kRemoved) {
    if (code_points > WordBuffer::kLongestWord)
      ids.push_back(special.unknown);
    else
      emit(text.substr(0, end), ids);
    return end;
  }
  WordBuffer word;
  size_t at = 0;
  while (at < text.size()) {
    size_t next = at;
    const char32_t code_point = decode_utf8(text, next);
    kind = classes[code_point];
    if (kind != CharacterClass::kInside && kind != CharacterClass::kRemoved) break;
    if (kind == CharacterClass::kInside) word.push(code_point, 0);
    at = next;
  }
  flush(word, ids);
  return at;
}

// For a text without special tokens.
void WordPiece::State::tokenize(std::string_view text, std::vector<int32_t>& ids) const {
  if (map) return tokenize_mapped(text, ids);
  size_t at = 0;
  while (at < text.size()) {
    size_t next = at;
    const auto byte = static_cast<unsigned char>(text[at]);
    const CharacterClass kind = byte < 128 ? (++next, ascii_classes[byte]) : classes[decode_utf8(text, next)];
    switch (kind) {
      case CharacterClass::kInside:
        next = at + tokenize_plain_word(text.substr(at), ids);
        break;
      case CharacterClass::kAlone:
      case CharacterClass::kIdeograph:
        emit(text.substr(at, next - at), ids);
        break;
      case CharacterClass::kSpace:
      case CharacterClass::kRemoved:
        break;
    }
    at = next;
  }
}

// Adds one code point of the original text to the word, after accent stripping and lower-casing; it may end the word.
void WordPiece::State::push_mapped(char32_t code_point, CharacterClass kind, WordBuffer& word,
                                   std::vector<int32_t>& ids) const {
  std::array<char32_t, 3> scratch;
  const auto becomes = map->map(code_point, scratch);
  if (becomes.empty() && map->combining_class(code_point) == CharacterMap::kBlocks) word.end_run();
  if (kind == CharacterClass::kIdeograph) flush(word, ids);
  for (const char32_t c : becomes) {
    const CharacterClass result = classes[c];
    const bool alone = result == CharacterClass::kAlone;
    if (alone || result == CharacterClass::kSpace) flush(word, ids);
    if (result != CharacterClass::kSpace) word.push(c, map->combining_class(c));
    if (alone) flush(word, ids);
  }
  if (kind == CharacterClass::kIdeograph) flush(word, ids);
}

void WordPiece::State::tokenize_mapped(std::string_view text, std::vector<int32_t>& ids) const {
  WordBuffer word;
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 128 && ascii_classes[byte] == CharacterClass::kInside) {  // letters and digits
      const bool capital = options.lower_case && byte >= 'A' && byte <= 'Z';
      word.push_ascii(static_cast<char>(capital ? byte + ('a' - 'A') : byte));
      ++at;
      continue;
    }
    const char32_t code_point = decode_utf8(text, at);
    const CharacterClass kind = classes[code_point];
    if (kind == CharacterClass::kSpace) flush(word, ids);
    if (kind != CharacterClass::kSpace && kind != CharacterClass::kRemoved) push_mapped(code_point, kind, word, ids);
  }
  flush(word, ids);
}

WordPiece WordPiece::from_folder(const std::string& folder) {
  const std::string path = folder + "/" + kFile;
  const std::string text = read_file(path);
  const TokenizerConfig config(folder + "/tokenizer_config.json");
  WordPieceOptions options;
  const auto lower_case = config.flag("do_lower_case");
  options.lower_case = lower_case ? *lower_case : Vocabulary(text, path).is_lower_case();
  options.strip_accents = config.flag("strip_accents").value_or(options.lower_case);
  options.split_chinese_characters = config.flag("tokenize_chinese_chars").value_or(true);
  options.unk_token = config.token("unk_token", options.unk_token);
  options.cls_token = config.token("cls_token", options.cls_token);
  options.sep_token = config.token("sep_token", options.sep_token);
  options.pad_token = config.token("pad_token", options.pad_token);
  options.mask_token = config.token("mask_token", options.mask_token);
  return from_text(text, options, path);
}

std::unique_ptr<const Tokenizer> WordPiece::find(const std::string& folder) {
  if (kind_of(folder + "/" + kFile) == PathKind::kNothing) return nullptr;
  return std::make_unique<WordPiece>(from_folder(folder));
}

WordPiece WordPiece::from_text(std::string_view vocabulary, const WordPieceOptions& options, const std::string& name) {
  return WordPiece(std::make_unique<State>(Vocabulary(vocabulary, name), options));
}

WordPiece::WordPiece(std::unique_ptr<State> state) : state_(std::move(state)) {}
WordPiece::WordPiece(WordPiece&&) noexcept = default;
WordPiece& WordPiece::operator=(WordPiece&&) noexcept = default;
WordPiece::~WordPiece() = default;

void WordPiece::line(std::string_view line, std::vector<int32_t>& ids) const {
  size_t at = 0, place = 0;
  while (const State::Written* found = state_->find_special(line, at, place)) {
    state_->tokenize(line.substr(at, place - at), ids);
    ids.push_back(found->id);
    at = place + found->text.size();
  }
  state_->tokenize(line.substr(at), ids);
}

const SpecialIds& WordPiece::special() const { return state_->special; }
int32_t WordPiece::size() const { return state_->vocabulary.size(); }
const std::string& WordPiece::token(int32_t id) const {
  HYPERX_CHECK(id >= 0 && id < size(), fmt::format("id {}", id));
  return state_->vocabulary.token(id);
}
const std::string& WordPiece::digest() const { return state_->digest; }
const std::string& WordPiece::file() const { return state_->vocabulary.name(); }
const WordPieceOptions& WordPiece::options() const { return state_->options; }

}  // namespace hyperx::data
