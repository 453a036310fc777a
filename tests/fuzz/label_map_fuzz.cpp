#include "data/source/sentence_reader.h"
#include "tests/fuzz/fuzz.h"

void hyperx::fuzz::parse(std::string_view input) { data::read_label_map(write("labels.tsv", input)); }
