// jemalloc reads its settings here, in the program that it is linked to.
//
// A step allocates a gigabyte in blocks of megabytes and gives it all back. The C library returns such blocks to the
// kernel, which must then clear every page anew; jemalloc itself does so bit by bit within its decay time, and at once
// for blocks of 8 MiB. Blocks that are kept for good, in huge pages, made a step of mBERT's size 1.4 to 1.8 times as
// fast as the C library's (docs/performance.md).
extern "C" {
// The name is jemalloc's.
__attribute__((visibility("default"))) const char* malloc_conf = "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1";
}
