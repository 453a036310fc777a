// Repeats the steps of a program that record.c has watched, in random order, and prints what jemalloc holds: the same sizes in the
// same order and arenas as the program's, without its arithmetic.
//
// usage: MALLOC_CONF=SETTINGS replay RECORDS STEPS
//
// A step begins wherever hardly more is held than at the least time of the run's second half. What outlives its step is released at the
// end of the next one. Prints "step K: A MB allocated, R MB held" ten times, R: pages that the allocator has not given back.
#include <jemalloc/jemalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct record {
  uint64_t address, size, thread;
};

enum { kArenas = 64, kSlots = 1 << 20 };
static const uint64_t kLeastStep = 50;  // records; shorter ones join the next

static uint64_t statistic(const char *name) {
  uint64_t epoch = 1;
  size_t size = sizeof(epoch);
  mallctl("epoch", &epoch, &size, &epoch, size);
  size_t value = 0;
  size = sizeof(value);
  mallctl(name, &value, &size, NULL, 0);
  return value;
}

// Index of the address in a table of open addresses: where it stands, or the first free place.
static size_t place_of(const uint64_t *table, uint64_t address) {
  size_t at = (address * 0x9E3779B97F4A7C15u >> 40) % kSlots;
  while (table[at] != 0 && table[at] != address) at = (at + 1) % kSlots;
  return at;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: replay RECORDS STEPS\n"), 64;
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL) return perror(argv[1]), 66;
  fseek(file, 0, SEEK_END);
  const uint64_t count = (uint64_t)ftell(file) / sizeof(struct record);
  rewind(file);
  struct record *records = malloc(count * sizeof(*records));
  if (fread(records, sizeof(*records), count, file) != count) return perror(argv[1]), 74;
  fclose(file);

  // Each release as the number of its allocation, and the other way round. What lives for many steps (compiled kernels, of which
  // oneDNN keeps 1,024) hides where a step begins, so the live bytes after each record leave it out.
  uint64_t *addresses = calloc(kSlots, sizeof(uint64_t)), *made_at = calloc(kSlots, sizeof(uint64_t));
  uint64_t *live = malloc(count * sizeof(uint64_t)), *partner = calloc(count, sizeof(uint64_t)), *released = calloc(count, sizeof(uint64_t));
  uint64_t bytes = 0, least = UINT64_MAX, most = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const size_t at = place_of(addresses, records[i].address);
    addresses[at] = records[i].address;
    if (records[i].size > 0) {
      made_at[at] = i + 1;
    } else if (made_at[at] > 0) {
      partner[i] = made_at[at];
      released[partner[i] - 1] = i + 1;
      made_at[at] = 0;
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    const int is_release = partner[i] > 0;
    const uint64_t made = is_release ? partner[i] - 1 : i;
    if (released[made] > 0 && released[made] - made < count / 20) bytes += is_release ? -records[made].size : records[made].size;
    live[i] = bytes;
    if (i > count / 2 && bytes < least) least = bytes;
    if (i > count / 2 && bytes > most) most = bytes;
  }
  const uint64_t bound = least + (most - least) / 20;
  uint64_t *begins = malloc((count + 1) * sizeof(uint64_t)), steps = 0;
  int above = 0;
  for (uint64_t i = count / 4; i < count; ++i) {  // the first quarter: start and first steps
    if (live[i] > bound + (most - least) / 10) above = 1;
    if (live[i] > bound || !above || (steps > 0 && i + 1 - begins[steps - 1] < kLeastStep)) continue;
    begins[steps++] = i + 1;
    above = 0;
  }
  if (steps < 10) return fprintf(stderr, "only %lu steps were found in %lu records\n", steps, count), 65;

  unsigned arenas[kArenas];
  for (int i = 0; i < kArenas; ++i) {
    size_t size = sizeof(unsigned);
    mallctl("arenas.create", &arenas[i], &size, NULL, 0);
  }
#define FLAGS(thread) (MALLOCX_ARENA(arenas[(thread) % kArenas]) | MALLOCX_TCACHE_NONE)
  // What the program holds throughout: what was there at the first step.
  uint64_t kept = 0;
  for (uint64_t i = 0; i < begins[0]; ++i)
    if (records[i].size > 0 && (released[i] == 0 || released[i] > begins[0])) {
      if (mallocx(records[i].size, FLAGS(records[i].thread)) == NULL) return 71;
      kept += records[i].size;
    }

  const uint64_t wanted = strtoull(argv[2], NULL, 10);
  void **made = calloc(count, sizeof(void *));
  uint64_t *lefts_before = malloc(count * sizeof(uint64_t)), before = 0, state = 1;
  printf("%lu steps of about %lu records and %lu MB at most, %lu MB held throughout\n", steps - 1,
         (begins[steps - 1] - begins[0]) / (steps - 1), (most - least) >> 20, kept >> 20);
  for (uint64_t step = 1; step <= wanted; ++step) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t chosen = (state >> 33) % (steps - 1);
    for (uint64_t i = begins[chosen]; i < begins[chosen + 1]; ++i) {
      if (records[i].size > 0) {
        if (made[i] != NULL) dallocx(made[i], MALLOCX_TCACHE_NONE);
        made[i] = mallocx(records[i].size, FLAGS(records[i].thread));
      } else if (partner[i] > begins[chosen]) {
        dallocx(made[partner[i] - 1], MALLOCX_TCACHE_NONE);
        made[partner[i] - 1] = NULL;
      }
    }
    for (uint64_t k = 0; k < before; ++k)
      if (made[lefts_before[k]] != NULL) {
        dallocx(made[lefts_before[k]], MALLOCX_TCACHE_NONE);
        made[lefts_before[k]] = NULL;
      }
    before = 0;
    for (uint64_t i = begins[chosen]; i < begins[chosen + 1]; ++i)
      if (made[i] != NULL) lefts_before[before++] = i;
    if (step == wanted / 50 || step % (wanted / 10) == 0)
      printf("step %lu: %lu MB allocated, %lu MB held\n", step, statistic("stats.allocated") >> 20, statistic("stats.resident") >> 20),
          fflush(stdout);
  }
  return 0;
}
