#include <iostream>

#include "app/commands.h"
#include "common/errors.h"
#include "data/tasks/prediction_file.h"
#include "data/tasks/scoring.h"

namespace hyperx {
namespace {

constexpr int kMostColumns = 10000;

int column_flag(const CommandLine& line, const std::string& name) {
  if (!line.has_flag(name)) return 0;
  const std::string value = line.flag(name);
  const bool number = !value.empty() && value.size() < 6 && value.find_first_not_of("0123456789") == std::string::npos;
  const int column = number ? std::stoi(value) : 0;
  if (column < 1 || column > kMostColumns)
    throw UserError(ExitCode::kUsage,
                    "--" + name + " " + data::quote_for_message(value) + ": a column, counted from 1");
  return column;
}

data::SourceSpec spec_of(const CommandLine& line, const std::string& path) {
  data::SourceSpec spec;
  spec.path = path;
  const std::string format = line.flag("format");
  if (!format.empty() && format != "conllu" && format != "tagged")
    throw UserError(ExitCode::kUsage, "--format " + data::quote_for_message(format) + ": conllu or tagged");
  // standard input has no file name: it is taken to have the other file's format
  const std::string& named = path == "-" ? line.objects[line.objects[0] == "-" ? 1 : 0] : path;
  spec.format = format.empty() ? data::guess_source_format(named) : data::parse_source_format(format, "--format");
  spec.word_column = column_flag(line, "word");
  spec.tag_column = column_flag(line, "tag");
  spec.comment = line.flag("comment");
  spec.strip_prefix = line.word_flag("prefix", "strip");
  spec.bilou = line.word_flag("scheme", "BILOU");
  if (line.has_flag("labels")) {
    spec.label_map_path = line.flag("labels");
    spec.label_map = data::read_label_map(spec.label_map_path);
  }
  return spec;
}

int run_score(const CommandLine& line) {
  if (line.objects.size() != 2)
    throw UserError(ExitCode::kUsage, "two files are needed, gold and predicted; got " +
                                          std::to_string(line.objects.size()) + " (see `hyperx score --help`)");
  if (line.objects[0] == "-" && line.objects[1] == "-")
    throw UserError(ExitCode::kUsage, "only one of the two files can be standard input");
  const data::TaskSet tasks = data::TaskSet::all(line.config.sections);
  const data::FileScores scores = data::score_files(spec_of(line, line.objects[0]), spec_of(line, line.objects[1]),
                                                    data::scorable_task(tasks, line.flag("task")));
  std::cout << (line.has_flag("json") ? data::scores_json(scores) : data::scores_table(scores));
  return 0;
}

}  // namespace

Command score_command() {
  CommandSpec spec;
  spec.name = "score";
  spec.usage = "hyperx score GOLD PRED --task pos|ner|dep [--format conllu|tagged] [--json]";
  spec.summary = "scores a file of predicted tags against a gold file";
  spec.help =
      "Both files must hold the same words in the same sentences; `-` is standard input. pos: accuracy, also by tag, "
      "and the\n"
      "score that the original release computes. ner: precision, recall and F1 of entities as seqeval 1.2.2 computes "
      "them, in its\n"
      "default mode (micro F1 is the usual figure) and strictly as IOB2. dep:\n"
      "UAS and LAS without sub-types, as the official scorer. A word without a prediction (`_`)\n"
      "counts as wrong; a gold word that is missing in PRED is an error (65).\n\n"
      "  hyperx score tr_imst-ud-test.conllu predicted.conllu --task pos\n"
      "  hyperx score gold.iob2 predicted.tsv --task ner --word 2 --tag 3 --comment '#' --json";
  spec.key_prefixes = {"pos.multiword"};
  spec.flags = {
      {"task", "pos|ner|dep", "what the tags are; required"},
      {"format", "conllu|tagged", "of both files (default: conllu for *.conllu, else tagged)"},
      {"word", "N", "tagged: column of the word, from 1 (default: the first)"},
      {"tag", "N", "tagged: column of the tag, from 1 (default: the last)"},
      {"comment", "TEXT", "tagged: lines that start with this are not words"},
      {"prefix", "strip", "tagged: `en:word` is the word `word`"},
      {"labels", "FILE", "TSV: tag in the files, tag to score"},
      {"scheme", "BILOU", "entity tags L- and U- are I- and B-"},
      {"json", "", "print a JSON object instead of the table"},
  };
  return {spec, run_score};
}

}  // namespace hyperx
