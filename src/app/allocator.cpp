// jemalloc reads its settings from this variable of the program that it is linked into.
//
// A step allocates a gigabyte in blocks of megabytes and frees all of it. The C library returns such blocks to the
// kernel, which must then clear every page again. By default jemalloc does so gradually within its decay time, and at
// once for blocks of 8 MiB. Keeping the blocks forever, in huge pages, made a step of mBERT's size 1.4 to 1.8 times as
// fast as with the C library (docs/benchmarks.md). lg_extent_max_active_fit: a small block may be cut from any kept
// one; by default only from one of at most 64 times its size, so that runs with small, varying batches grew without
// end.
extern "C" {
// The name is jemalloc's.
__attribute__((visibility("default"))) const char* malloc_conf =
    "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,lg_extent_max_active_fit:40";
}
