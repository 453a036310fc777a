#include "common/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "common/errors.h"
#include "common/files.h"
#include "common/read_error.h"

namespace hyperx {

namespace {

std::string hex_of(const unsigned char* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (size_t i = 0; i < size; ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
  }
  return text;
}

// Calls update() with the pieces of the file in order.
template <class Digest>
void add_file(const std::string& path, Digest& digest) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(::fdopen(open_to_read(path), "rb"), &std::fclose);
  if (!file) fail_to_read(path, "cannot be opened");
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // our pieces are large
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get());
    digest.update({buffer.data(), got});
    if (got < buffer.size()) break;
  }
  if (std::ferror(file.get()) != 0) fail_to_read(path, "cannot be read");
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1)
      throw SystemError("EVP_DigestInit_ex(SHA-256) failed");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) throw SystemError("EVP_DigestUpdate failed");
}

std::string Sha256::hex() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(state_->context, bytes, &size) != 1) throw SystemError("EVP_DigestFinal_ex failed");
  return hex_of(bytes, size);
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

std::string sha256_of_file(const std::string& path) {
  Sha256 digest;
  add_file(path, digest);
  return digest.hex();
}

struct Xxh128::State {
  State() : state(XXH3_createState()) {
    if (state == nullptr || XXH3_128bits_reset(state) != XXH_OK) throw SystemError("XXH3_128bits_reset failed");
  }
  ~State() { XXH3_freeState(state); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* state;
};

Xxh128::Xxh128() : state_(std::make_unique<State>()) {}
Xxh128::~Xxh128() = default;

void Xxh128::update(std::string_view bytes) {
  if (XXH3_128bits_update(state_->state, bytes.data(), bytes.size()) != XXH_OK)
    throw SystemError("XXH3_128bits_update failed");
}

std::string Xxh128::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->state));
  return hex_of(canonical.digest, sizeof canonical.digest);
}

std::string xxh128_hex(std::string_view bytes) {
  Xxh128 digest;
  digest.update(bytes);
  return digest.hex();
}

std::string xxh128_of_file(const std::string& path) {
  Xxh128 digest;
  add_file(path, digest);
  return digest.hex();
}

namespace {

std::optional<size_t> place_of_own_digest(std::string_view text, std::string_view marker) {
  const size_t at = text.find(marker);
  if (at == std::string_view::npos || text.size() - at - marker.size() < kXxh128Digits) return std::nullopt;
  return at + marker.size();
}

}  // namespace

std::string with_own_digest(std::string text, std::string_view marker) {
  const std::optional<size_t> place = place_of_own_digest(text, marker);
  HYPERX_CHECK(place, "a text with room for its digest");
  text.replace(*place, kXxh128Digits, std::string(kXxh128Digits, '0'));
  text.replace(*place, kXxh128Digits, xxh128_hex(text));
  return text;
}

std::optional<bool> fits_own_digest(std::string_view text, std::string_view marker) {
  const std::optional<size_t> place = place_of_own_digest(text, marker);
  if (!place) return std::nullopt;
  return with_own_digest(std::string(text), marker) == text;
}

FutureDigest known_digest(std::string digest) {
  std::promise<std::string> promise;
  promise.set_value(std::move(digest));
  return promise.get_future().share();
}

FutureDigest future_sha256_of_file(const std::string& path, std::launch policy) {
  return std::async(policy, [path] { return sha256_of_file(path); }).share();
}

}  // namespace hyperx
