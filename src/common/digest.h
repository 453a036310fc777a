#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace hyperx {

// SHA-256 as 64 lower-case hexadecimal digits.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  std::string hex();  // ends the computation: update() must not follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
// Throws UserError (66) when the file cannot be read.
std::string sha256_of_file(const std::string& path);

// A digest that may still be in the making: get() waits for it, and throws what its computation threw.
using FutureDigest = std::shared_future<std::string>;
FutureDigest known_digest(std::string digest);
// std::launch::async: a thread computes it beside other work; deferred: the first get() does.
FutureDigest future_sha256_of_file(const std::string& path, std::launch policy);

}  // namespace hyperx
