#include "common/digest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/errors.h"
#include "tests/support/folder.h"

namespace hyperx {
namespace {

// What `sha256sum` and `xxhsum -H2` print.
TEST(Digest, OfKnownBytes) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(xxh128_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh128_hex("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  std::string bytes(3'000'001, 'x');  // more than one piece
  for (size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<char>(i);
  const test::TemporaryFolder folder;
  const std::string path = folder.write("digest.bin", bytes);
  EXPECT_EQ(xxh128_of_file(path), xxh128_hex(bytes));
  EXPECT_EQ(sha256_of_file(path), sha256_hex(bytes));
  bytes[2'500'000] ^= 1;
  EXPECT_NE(xxh128_of_file(path), xxh128_hex(bytes));
  EXPECT_THROW(xxh128_of_file(path + ".none"), UserError);
}

}  // namespace
}  // namespace hyperx
