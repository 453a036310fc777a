// jemalloc reads its settings here, in the program that it is linked to.
//
// A step allocates a gigabyte in blocks of megabytes and gives it all back. The C library returns such blocks to the
// kernel, which must then clear every page anew: with blocks kept (for a minute after their last use) and huge pages, a
// step of mBERT's size was 1.4 to 1.8 times as fast (docs/performance.md).
extern "C" {
// The name is jemalloc's.
__attribute__((visibility("default"))) const char* malloc_conf = "thp:always,dirty_decay_ms:60000,muzzy_decay_ms:60000";
}
