#include "data/tokenizer/word_splitter.h"
#include "tests/fuzz/source_readings.h"

// A file of plain text, one sentence per line, and each of the ways to split it into words.
void hyperx::fuzz::parse(std::string_view input) {
  data::SourceSpec spec;
  spec.path = write("input.txt", input);
  spec.format = data::SourceFormat::kText;
  read_sentences(spec, all_tasks().at("mlm"));
  spec.strip_diacritics = true;
  read_sentences(spec, all_tasks().at("mlm"));
  for (const auto how :
       {data::WordSplit::kSpace, data::WordSplit::kBasic, data::WordSplit::kChars, data::WordSplit::kAuto}) {
    std::vector<std::string_view> words;
    data::split_words(input, how, words);
    for (const std::string_view word : words) touch(word);
  }
}
