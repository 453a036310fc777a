#include "data/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/tokenizer/word_piece.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using ::testing::ElementsAre;

TEST(Tokenizer, IsOfTheKindWhoseFilesTheFolderHolds) {
  TemporaryFolder files;
  files.write("vocab.txt", "a\n[UNK]\n##b\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n");
  const std::unique_ptr<const Tokenizer> tokenizer = Tokenizer::load(files.path());
  std::vector<int32_t> ids;
  tokenizer->word("ab", ids);
  tokenizer->line("a b", ids);
  EXPECT_THAT(ids, ElementsAre(0, 2, 0, 1));
  const SpecialIds& special = tokenizer->special();
  EXPECT_THAT((std::vector{special.begin, special.end, special.mask, special.pad, special.unknown}),
              ElementsAre(3, 4, 6, 5, 1));
  EXPECT_EQ(tokenizer->size(), 7);
  EXPECT_EQ(tokenizer->token(2), "##b");
  EXPECT_EQ(tokenizer->file(), files.path("vocab.txt"));
  EXPECT_EQ(tokenizer->digest(), WordPiece::from_folder(files.path()).digest());
}

TEST(Tokenizer, OfNoKindNamesTheFolderAndTheFilesLookedFor) {
  TemporaryFolder files;
  files.write("config.json", "{}");
  EXPECT_EQ(user_error([&] { Tokenizer::load(files.path()); }),
            "66 " + files.path() +
                ": no vocabulary there, looked for vocab.txt, tokenizer.json (Unigram), sentencepiece.bpe.model: name "
                "the folder of an encoder");
}

}  // namespace
}  // namespace hyperx::data
