#include "tests/fuzz/source_readings.h"

// A file of tagged words, read with the default columns, with named ones, and without tags.
void hyperx::fuzz::parse(std::string_view input) {
  const data::Task& task = all_tasks().at("ner");
  data::SourceSpec spec;
  spec.path = write("input.tsv", input);
  spec.format = data::SourceFormat::kTagged;
  read_sentences(spec, task);
  spec.strip_prefix = true;
  spec.bilou = true;
  spec.comment = "#";
  spec.label_map = {{"B-MISC", "O"}, {"I-MISC", "O"}};
  spec.word_column = 1;
  spec.tag_column = 2;
  read_sentences(spec, task);
  spec.strip_diacritics = true;
  spec.read_tags = false;
  read_sentences(spec, task);
}
