#include "tests/data/corpus/corpus_fixture.h"

#include <stdlib.h>

#include <filesystem>
#include <sstream>

#include "common/errors.h"
#include "common/files.h"
#include "common/random.h"

namespace hyperx::data::test {

namespace {

std::string random_word(RandomStream& stream) {
  std::string word;
  const uint64_t length = 1 + stream.below(6);
  for (uint64_t i = 0; i < length; ++i) word += static_cast<char>('a' + stream.below(26));
  return word;
}

}  // namespace

void write_letter_vocabulary(const TemporaryFolder& folder, const std::string& name) {
  std::string text = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (const std::string range : {"az", "09"}) {
    for (const std::string prefix : {"", "##"}) {
      for (char c = range[0]; c <= range[1]; ++c) text += prefix + c + "\n";
    }
  }
  folder.write(name + "/vocab.txt", text);
}

std::string random_conllu(int sentences, uint64_t seed) {
  static const char* const kTags[] = {"NOUN", "VERB", "ADJ", "PUNCT", "X"};
  static const char* const kRelations[] = {"nsubj", "acl", "amod:x", "punct", "dep"};  // of the tag
  RandomStream stream(seed);
  std::string text;
  for (int s = 0; s < sentences; ++s) {
    const uint64_t words = 1 + stream.below(12);
    for (uint64_t w = 1; w <= words; ++w) {
      const std::string word = random_word(stream);
      const auto tag = stream.below(5);
      text += std::to_string(w) + "\t" + word + "\t_\t" + kTags[tag] + "\t_\t_\t" + std::to_string(w - 1) + "\t" +
              (w == 1 ? "root" : kRelations[tag]) + "\t_\t_\n";
    }
    text += "\n";
  }
  return text;
}

std::string random_text(int sentences, uint64_t seed) {
  RandomStream stream(seed);
  std::string text;
  for (int s = 0; s < sentences; ++s) {
    const uint64_t words = 1 + stream.below(12);
    for (uint64_t w = 0; w < words; ++w) text.append(w > 0 ? " " : "").append(random_word(stream));
    text += "\n";
  }
  return text;
}

std::string conllu_of(const std::vector<std::string>& sentences, const std::string& tag) {
  std::string text;
  for (const std::string& sentence : sentences) {
    std::istringstream words(sentence);
    std::string word;
    for (int number = 1; words >> word; ++number) {
      text += std::to_string(number) + "\t" + word + "\t_\t" + tag + "\t_\t_\t_\t_\t_\t_\n";
    }
    text += "\n";
  }
  return text;
}

std::string write_manifest(const TemporaryFolder& folder, const std::vector<std::string>& rows) {
  std::string text = "task\tlanguage\tsplit\tformat\tpath\toptions\n";
  for (std::string row : rows) {
    for (char& c : row) c = c == ' ' ? '\t' : c;
    text += row + "\n";
  }
  return folder.write("manifest.tsv", text);
}

PrepareOptions options_of(const TemporaryFolder& folder) {
  PrepareOptions options;
  options.manifest = folder.path("manifest.tsv");
  options.corpus = folder.path("corpus");
  options.tokenizer = folder.path("letters");
  options.threads = 2;
  return options;
}

}  // namespace hyperx::data::test
