#include "data/source/sentence_reader.h"

#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "data/source/conllu_reader.h"
#include "data/source/line_source.h"
#include "data/source/source_reader.h"
#include "data/source/tagged_reader.h"
#include "data/source/text_reader.h"

namespace hyperx::data {

void Sentence::clear() {
  words.clear();
  tags.clear();
  labels.clear();
  ids.clear();
  lines.clear();
  heads.clear();
  relations.clear();
  first_line = 0;
}

const char* name_of(SourceFormat format) {
  switch (format) {
    case SourceFormat::kConllu:
      return "conllu";
    case SourceFormat::kTagged:
      return "tagged";
    case SourceFormat::kText:
      return "text";
  }
  HYPERX_CHECK(false, "a format without a name");
}

SourceFormat parse_source_format(const std::string& name, const std::string& where) {
  for (const SourceFormat format : kSourceFormats)
    if (name == name_of(format)) return format;
  throw UserError(ExitCode::kBadData,
                  fmt::format("{}: unknown format, value '{}': conllu, tagged and text are known", where, name));
}

LabelMap read_label_map(const std::string& path) {
  LineSource lines(path);
  LabelMap map;
  std::vector<std::string_view> columns;
  for (std::string_view line; lines.next(line);) {
    if (is_blank(line) || line.starts_with('#')) continue;
    split_columns(line, '\t', false, columns);
    if (columns.size() < 2 || columns[0].empty() || columns[1].empty())
      lines.fail(lines.number(),
                 fmt::format("not a line of a label map, value '{}': write tag in the file, TAB, tag to use", line));
    const auto [row, fresh] = map.emplace(columns[0], columns[1]);
    if (!fresh && row->second != columns[1])
      lines.fail(lines.number(), fmt::format("tag mapped twice, value '{}': to '{}' and to '{}'; keep one", columns[0],
                                             row->second, columns[1]));
  }
  if (map.empty())
    throw UserError(ExitCode::kBadData,
                    path + ":1: a label map without a line: write tag in the file, TAB, tag to use");
  return map;
}

std::unique_ptr<SentenceReader> open_source(const SourceSpec& spec, const Task& task) {
  switch (spec.format) {
    case SourceFormat::kConllu:
      return std::make_unique<ConlluReader>(spec, task);
    case SourceFormat::kTagged:
      return std::make_unique<TaggedReader>(spec, task);
    case SourceFormat::kText:
      return std::make_unique<TextReader>(spec, task);
  }
  HYPERX_CHECK(false, "a format without a reader");
}

}  // namespace hyperx::data
