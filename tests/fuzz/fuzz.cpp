#include "tests/fuzz/fuzz.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "common/digest.h"
#include "common/files.h"

namespace hyperx::fuzz {
namespace {

class MemoryFolder {
 public:
  MemoryFolder() {
    const char* const place = std::getenv("TMPDIR");
    path_ = std::string(place != nullptr ? place : "/dev/shm") + "/hyperx-fuzz-XXXXXX";
    HYPERX_CHECK(::mkdtemp(path_.data()) != nullptr, path_ + ": " + errno_text());
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

const std::string& folder() {
  static const MemoryFolder made;
  return made.path();
}

std::string write(const std::string& name, std::string_view content) {
  std::string path = folder() + "/" + name;
  OutputFile(path).write(content);
  return path;
}

void touch(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) static_cast<void>(*static_cast<const volatile char*>(bytes.data() + i));
}

std::string with_right_digest(std::string_view text, std::string_view marker) {
  return fits_own_digest(text, marker) ? with_own_digest(std::string(text), marker) : std::string(text);
}

}  // namespace hyperx::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::cout.rdbuf(nullptr);  // commands print what they read
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hyperx::fuzz::may_refuse([&] { hyperx::fuzz::parse({reinterpret_cast<const char*>(data), size}); });
  return 0;
}
