#include "common/errors.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hyperx {

std::string errno_text() {
  const int number = errno;
  return std::string(std::strerror(number)) + " (errno " + std::to_string(number) + ")";
}

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "hyperx: a bug: %s:%d: '%s' does not hold: %s\nPlease report this with the command line.\n",
               file, line, condition, message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace hyperx
