#include <algorithm>

#include "data/tasks/prediction_file.h"
#include "data/tasks/scoring.h"
#include "tests/fuzz/source_readings.h"

namespace hyperx::fuzz {
namespace {

using Sentences = std::vector<std::vector<std::string>>;

// The words of all sentences that have any, the tags in the file, and the file with `tag` in place of them.
struct Reading {
  Sentences words, tags;
  std::string written;
};

Reading read(const data::SourceSpec& spec, const std::string& tag) {
  Reading all;
  data::PredictionInput file(spec);
  for (data::TaggingChunk chunk; file.next(chunk, 3);) {
    Sentences predicted;
    for (size_t i = 0; i < chunk.words.size(); ++i) {
      predicted.emplace_back(chunk.words[i].size(), tag);
      if (chunk.words[i].empty()) continue;
      all.words.push_back(chunk.words[i]);
      all.tags.push_back(chunk.tags[i]);
    }
    all.written += chunk.with_tags(predicted);
  }
  return all;
}

bool has_no_tags(const Reading& reading) {
  const auto is_empty = [](const std::string& tag) { return tag.empty(); };
  return std::ranges::all_of(reading.tags, [&](const auto& tags) { return std::ranges::all_of(tags, is_empty); });
}

// Tags the file as `predict` does: what is written has the same words, these tags, and agrees with itself as `score`
// sees it.
void tag_and_read_back(const std::string& path, data::SourceFormat format, const data::Task& task,
                       const std::string& tag) {
  data::SourceSpec spec;
  spec.path = path;
  spec.format = format;
  const Reading before = read(spec, tag);
  spec.path = write("written", before.written);
  if (format != data::SourceFormat::kConllu && has_no_tags(before)) {  // tags behind words alone: numbers look like ids
    spec.format = data::SourceFormat::kTagged;
    spec.word_column = 1;
    spec.tag_column = 2;
  }
  const Reading after = must_accept([&] { return read(spec, tag); });
  HYPERX_CHECK(after.words == before.words, "other words are read than were written");
  for (const auto& sentence : after.tags)
    for (const std::string& found : sentence) HYPERX_CHECK(found == tag, "the tag '" + found + "' is read");
  HYPERX_CHECK(after.written == before.written, "the same tags again change the file");
  const data::FileScores scores = must_accept([&] { return data::score_files(spec, spec, task); });
  HYPERX_CHECK(scores.accuracy == 1, "a file does not agree with itself");
  touch(data::scores_table(scores));
  touch(data::scores_json(scores));
}

}  // namespace

// A file that is tagged as CoNLL-U where its first line can be one of that format, else as tagged lines and as text.
void parse(std::string_view input) {
  const std::string path = write("input", input);
  using data::SourceFormat;
  if (!input.empty() && (input[0] == '#' || (input[0] >= '0' && input[0] <= '9')))
    return tag_and_read_back(path, SourceFormat::kConllu, all_tasks().at("pos"), "NOUN");
  may_refuse([&] { tag_and_read_back(path, SourceFormat::kTagged, all_tasks().at("pos"), "NOUN"); });
  if (input.find("-DOCSTART-") != std::string_view::npos) return;  // a word of running text, a mark of tagged lines
  may_refuse([&] { tag_and_read_back(path, SourceFormat::kText, all_tasks().at("ner"), "O"); });
}

}  // namespace hyperx::fuzz
