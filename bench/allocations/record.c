// Preloaded into a program: writes each allocation and release of at least LEAST bytes to the file HYPERX_ALLOCATIONS, as records of
// 24 bytes: address, size (0: released), number of the thread. Of these sizes alone jemalloc keeps whole pages.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kRecords = 4096, kLeast = 16384, kKnown = 1 << 20 };

struct record {
  uint64_t address, size, thread;
};

static int file = -1;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static struct record waiting[kRecords];
static int count;
static atomic_uint threads;
static _Thread_local unsigned own;
// Addresses of recorded allocations, so that only their releases are written; an open hash table.
static uintptr_t known[kKnown];

static void *(*real_malloc)(size_t);
static void (*real_free)(void *);
static int (*real_memalign)(void **, size_t, size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned)(size_t, size_t);

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("HYPERX_ALLOCATIONS");
  if (path != NULL) file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
}

static void resolve(void) {
  if (real_free != NULL) return;
  real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  real_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
  real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
  real_aligned = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
  real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
}

static void flush(void) {
  const char *from = (const char *)waiting;
  size_t left = (size_t)count * sizeof(struct record);
  while (left > 0) {
    const ssize_t wrote = write(file, from, left);
    if (wrote < 0) break;
    from += wrote, left -= (size_t)wrote;
  }
  count = 0;
}

static uintptr_t *slot(uintptr_t address) {
  size_t at = (address >> 12) * 0x9E3779B97F4A7C15u >> 44;
  while (known[at % kKnown] != 0 && known[at % kKnown] != address) ++at;
  return &known[at % kKnown];
}

static void note(void *address, size_t size) {
  if (file < 0 || address == NULL || (size > 0 && size < kLeast)) return;
  const int kept = errno;
  if (own == 0) own = atomic_fetch_add(&threads, 1) + 1;
  while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
  }
  uintptr_t *place = slot((uintptr_t)address);
  if (size > 0 || *place == (uintptr_t)address) {
    if (size > 0) {
      *place = (uintptr_t)address;
    } else {  // closes the gap, so that later addresses of the same chain are found
      size_t hole = (size_t)(place - known);
      known[hole] = 0;
      for (size_t at = (hole + 1) % kKnown; known[at] != 0; at = (at + 1) % kKnown) {
        const uintptr_t moved = known[at];
        known[at] = 0;
        *slot(moved) = moved;
      }
    }
    waiting[count++] = (struct record){(uint64_t)(uintptr_t)address, size, own - 1};
    if (count == kRecords) flush();
  }
  atomic_flag_clear_explicit(&busy, memory_order_release);
  errno = kept;
}

__attribute__((destructor)) static void end(void) {
  if (file >= 0) flush();
}

void *malloc(size_t size) {
  resolve();
  void *made = real_malloc(size);
  note(made, size);
  return made;
}
void free(void *address) {
  resolve();
  note(address, 0);
  real_free(address);
}
int posix_memalign(void **address, size_t alignment, size_t size) {
  resolve();
  const int failed = real_memalign(address, alignment, size);
  if (failed == 0) note(*address, size);
  return failed;
}
void *aligned_alloc(size_t alignment, size_t size) {
  resolve();
  void *made = real_aligned(alignment, size);
  note(made, size);
  return made;
}
void *calloc(size_t many, size_t size) {
  resolve();
  void *made = real_calloc(many, size);
  note(made, many * size);
  return made;
}
void *realloc(void *address, size_t size) {
  resolve();
  note(address, 0);
  void *made = real_realloc(address, size);
  note(made, size);
  return made;
}
