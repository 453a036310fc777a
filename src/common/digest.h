#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hyperx {

// SHA-256 as 64 lower-case hexadecimal digits. Identifies files from elsewhere (encoders, vocabularies, treebanks),
// whose publishers use it too.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string hex();  // ends the computation: no update() after it

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
// Throws UserError (66) when the file cannot be read.
std::string sha256_of_file(const std::string& path);

// XXH3 of 128 bits as 32 lower-case hexadecimal digits, as `xxhsum -H2` prints it. Detects damage to files that hyperx
// itself wrote. It runs at memory speed, where SHA-256 takes longer than reading from a disk.
class Xxh128 {
 public:
  Xxh128();
  ~Xxh128();
  Xxh128(const Xxh128&) = delete;
  Xxh128& operator=(const Xxh128&) = delete;
  void update(std::string_view bytes);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh128_hex(std::string_view bytes);
// Throws UserError (66) when the file cannot be read.
std::string xxh128_of_file(const std::string& path);

constexpr size_t kXxh128Digits = 32;

// A text that holds its own XXH128: the 32 digits after `marker`, which count as zeros in it, so that every other byte
// is covered. `marker` must not occur before its place.
std::string with_own_digest(std::string text, std::string_view marker);               // sets the digits
std::optional<bool> fits_own_digest(std::string_view text, std::string_view marker);  // nullopt: it holds none

// A digest that may still be being computed: get() waits for it and rethrows what the computation threw.
using FutureDigest = std::shared_future<std::string>;
FutureDigest known_digest(std::string digest);
// std::launch::async: a thread computes it in the background; deferred: the first get() computes it.
FutureDigest future_sha256_of_file(const std::string& path, std::launch policy);

}  // namespace hyperx
