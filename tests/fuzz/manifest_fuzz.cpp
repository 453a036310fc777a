#include "data/source/manifest.h"
#include "tests/fuzz/source_readings.h"

// A manifest, next to the files that the kept inputs name.
void hyperx::fuzz::parse(std::string_view input) {
  static const bool files_are_there = [] {
    for (const char* const name : {"a.conllu", "a.tsv", "a.txt"}) write(name, "");
    write("labels.tsv", "B-MISC\tO\n");
    return true;
  }();
  HYPERX_CHECK(files_are_there, "");
  const std::string path = write("manifest.tsv", input);
  may_refuse([&] {
    const data::Manifest manifest = data::read_manifest(path, all_tasks());
    for (const data::Pair& pair : manifest.pairs())
      for (const std::string& split : manifest.splits_of(pair))
        HYPERX_CHECK(!manifest.entries_of(pair, split).empty(), pair.name() + " has no files");
  });
  data::read_manifest(path, all_tasks(), folder());
}
