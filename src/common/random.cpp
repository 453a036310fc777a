#include "common/random.h"

#include <cmath>
#include <numbers>

#include "common/errors.h"

namespace hyperx {

uint64_t derive_key(uint64_t seed, std::string_view name, uint64_t index) {
  uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a over the name
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return mix64(mix64(mix64(seed) ^ hash) ^ index);
}

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    words_ = philox({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32), 0, 0}, key_);
    ++block_;
    used_ = 0;
  }
  return words_[static_cast<size_t>(used_++)];
}

uint64_t RandomStream::next_u64() {
  const uint64_t high = next_u32();
  return (high << 32) | next_u32();
}

double RandomStream::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

uint64_t RandomStream::below(uint64_t bound) {
  HYPERX_CHECK(bound > 0, "an empty range has no number");
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const uint64_t draw = next_u64();
    if (draw < limit) return draw % bound;
  }
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

KeyedPermutation::KeyedPermutation(uint64_t size, uint64_t key) : size_(size), key_(key), half_bits_(1) {
  while (half_bits_ < 31 && (1ULL << (2 * half_bits_)) < size) ++half_bits_;
  HYPERX_CHECK(size <= (1ULL << (2 * half_bits_)), "a permutation of more than 2^62 elements");
}

uint64_t KeyedPermutation::operator()(uint64_t index) const {
  HYPERX_CHECK(index < size_, "index outside the permutation");
  const uint64_t mask = (1ULL << half_bits_) - 1;
  do {
    uint64_t left = index >> half_bits_;
    uint64_t right = index & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t mixed = left ^ (mix64(key_ ^ (round << 56) ^ right) & mask);
      left = right;
      right = mixed;
    }
    index = (left << half_bits_) | right;
  } while (index >= size_);
  return index;
}

}  // namespace hyperx
