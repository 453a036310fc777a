#pragma once

#include <array>
#include <cstdint>
#include <string_view>

// Counter-based random numbers (Salmon et al. 2011, Philox4x32-10). Every draw is a pure function of a key and a
// counter, so it does not depend on which rank draws, in which order, or on the number of ranks. The bits are the same
// on CPU and GPU.
namespace hyperx {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53U;
constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57U;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9U;
constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85U;
constexpr int kPhiloxRounds = 10;

// A key as one 64-bit value, and back.
constexpr uint64_t key_bits(PhiloxKey key) { return key[0] | (static_cast<uint64_t>(key[1]) << 32); }
constexpr PhiloxKey philox_key(uint64_t bits) {
  return {static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)};
}

constexpr PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * counter[0];
    const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key = {key[0] + kPhiloxWeyl0, key[1] + kPhiloxWeyl1};
  }
  return counter;
}

// A bijection of 64-bit values (the finaliser of SplitMix64).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// A key for one purpose: equal for equal (seed, name, index), unrelated otherwise. `name` is a fixed word such as
// "dropout".
uint64_t derive_key(uint64_t seed, std::string_view name, uint64_t index = 0);

// A stream of numbers under one key; the n-th draw is a function of (key, n).
class RandomStream {
 public:
  explicit RandomStream(uint64_t key) : key_(philox_key(key)) {}
  uint32_t next_u32();
  uint64_t next_u64();
  double uniform();                // [0, 1), 53 bits
  uint64_t below(uint64_t bound);  // [0, bound), unbiased; bound > 0
  double normal();                 // N(0, 1), Box-Muller

 private:
  PhiloxKey key_;
  uint64_t block_ = 0;
  PhiloxCounter words_{};
  int used_ = 4;
};

// A bijection of [0, size) chosen by `key`, in O(1) memory: a Feistel network over the next power of four, repeated
// until the result is in range (cycle walking). Used to visit every sentence of a pair once per pass, each pass in
// another order.
class KeyedPermutation {
 public:
  KeyedPermutation(uint64_t size, uint64_t key);
  uint64_t operator()(uint64_t index) const;  // index < size
  uint64_t size() const { return size_; }

 private:
  uint64_t size_;
  uint64_t key_;
  int half_bits_;
};

}  // namespace hyperx
