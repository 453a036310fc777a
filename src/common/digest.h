#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace hyperx {

// SHA-256 as 64 lower-case hexadecimal digits: names what comes from elsewhere (encoders, vocabularies, treebanks), as
// those who publish it do.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string hex();  // ends the computation: update() must not follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
// Throws UserError (66) when the file cannot be read.
std::string sha256_of_file(const std::string& path);

// XXH3 of 128 bits as 32 lower-case hexadecimal digits, as `xxhsum -H2` prints it: notices damage to what hyperx itself
// wrote at the speed of memory, where SHA-256 takes longer than a disk.
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

// A digest that may still be in the making: get() waits for it, and throws what its computation threw.
using FutureDigest = std::shared_future<std::string>;
FutureDigest known_digest(std::string digest);
// std::launch::async: a thread computes it beside other work; deferred: the first get() does.
FutureDigest future_sha256_of_file(const std::string& path, std::launch policy);

}  // namespace hyperx
