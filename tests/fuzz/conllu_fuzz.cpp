#include "tests/fuzz/source_readings.h"

// A CoNLL-U file, read for tags, for trees, with multiword ranges as words, and without tags.
void hyperx::fuzz::parse(std::string_view input) {
  data::SourceSpec spec;
  spec.path = write("input.conllu", input);
  spec.format = data::SourceFormat::kConllu;
  read_sentences(spec, all_tasks().at("pos"));
  read_sentences(spec, all_tasks().at("dep"));
  spec.strip_diacritics = true;
  spec.keep_multiword = true;
  read_sentences(spec, all_tasks().at("pos"));
  spec.read_tags = false;
  read_sentences(spec, all_tasks().at("pos"));
}
