// Functions of glibc 2.36 that Debian 12's libstdc++ and libevent call, for targets with an older one. launch/pack adds this library to
// the folder, and pack_glibc.py makes them use it.
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void* bytes, size_t size) {
  unsigned char* next = bytes;
  while (size > 0) {
    const ssize_t read = getrandom(next, size < 256 ? size : 256, 0);  // up to 256 bytes come whole
    if (read <= 0) abort();
    next += read;
    size -= (size_t)read;
  }
}

uint32_t arc4random(void) {
  uint32_t value;
  arc4random_buf(&value, sizeof value);
  return value;
}
