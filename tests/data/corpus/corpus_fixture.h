#pragma once

#include <string>
#include <vector>

#include "data/corpus/prepare.h"
#include "tests/support/folder.h"

// What the tests of corpora share: a folder of their own, a small vocabulary, made-up data files.
namespace hyperx::data::test {

using hyperx::test::TemporaryFolder;

// FOLDER/vocab.txt: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a..z 5..30, ##a..##z 31..56, digits 57..66,
// ##digits 67..76. A word of n letters has n sub-words; a soft hyphen has none.
void write_letter_vocabulary(const TemporaryFolder& folder, const std::string& name = "letters");

// `sentences` sentences of made-up words and UPOS tags in CoNLL-U; equal for equal seeds.
std::string random_conllu(int sentences, uint64_t seed);
std::string random_text(int sentences, uint64_t seed);
std::string conllu_of(const std::vector<std::string>& sentences, const std::string& tag = "NOUN");  // words by spaces

// FOLDER/manifest.tsv of rows "task language split format path options".
std::string write_manifest(const TemporaryFolder& folder, const std::vector<std::string>& rows);

// Options for `folder`'s manifest.tsv, letters/ and corpus/, two threads.
PrepareOptions options_of(const TemporaryFolder& folder);

}  // namespace hyperx::data::test
