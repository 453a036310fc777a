#include "data/source/column_flags.h"

#include "common/errors.h"
#include "data/tasks/prediction_file.h"

namespace hyperx::data {
namespace {

int column_flag(const CommandLine& line, const std::string& name) {
  constexpr int64_t kMostColumns = 1000;
  const int64_t column = line.count_flag(name, 0);
  if (column > kMostColumns)
    throw UserError(ExitCode::kUsage, "--" + name + " " + quote_for_message(line.flag(name)) +
                                          ": a column, counted from 1, of at most " + std::to_string(kMostColumns));
  return static_cast<int>(column);
}

}  // namespace

std::vector<FlagSpec> column_flags(bool may_be_text) {
  return {{"format", may_be_text ? "auto|conllu|tagged|text" : "auto|conllu|tagged",
           std::string("of the files; auto, the default: by their content") +
               (may_be_text ? ", where standard input and .txt are text unless they hold columns" : "")},
          {"word", "N", "tagged: column of the word, from 1 (default: the first)"},
          {"tag", "N", "tagged: column of the tag, from 1 (default: the last)"},
          {"comment", "TEXT", "tagged: lines that start with this are not words"},
          {"prefix", "strip", "tagged: `en:word` is the word `word`"}};
}

SourceSpec spec_of_flags(const CommandLine& line, const std::string& path, bool may_be_text) {
  SourceSpec spec;
  spec.path = path;
  const std::string format = line.flag("format", "auto");
  spec.recognise_format = format == "auto";
  bool known = spec.recognise_format;
  for (const SourceFormat each : kSourceFormats) {
    if (format != name_of(each) || (each == SourceFormat::kText && !may_be_text)) continue;
    spec.format = each;
    known = true;
  }
  if (!known)
    throw UserError(ExitCode::kUsage, "--format " + quote_for_message(format) + ": auto, conllu" +
                                          (may_be_text ? ", tagged or text" : " or tagged"));
  spec.word_column = column_flag(line, "word");
  spec.tag_column = column_flag(line, "tag");
  spec.comment = line.flag("comment");
  spec.strip_prefix = line.word_flag("prefix", "strip");
  return spec;
}

}  // namespace hyperx::data
