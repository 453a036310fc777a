#include <iostream>

#include "app/commands.h"
#include "common/errors.h"
#include "data/source/column_flags.h"
#include "data/tasks/scoring.h"

namespace hyperx {
namespace {

data::SourceSpec spec_of(const CommandLine& line, const std::string& path) {
  data::SourceSpec spec = data::spec_of_flags(line, path, false);
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
  spec.usage = "hyperx score GOLD PRED --task pos|ner|dep [--word N] [--tag N] [--json]";
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
  spec.flags = {{"task", "pos|ner|dep", "what the tags are; required"}};
  for (FlagSpec& flag : data::column_flags(false)) spec.flags.push_back(std::move(flag));
  spec.flags.insert(spec.flags.end(), {{"labels", "FILE", "TSV: tag in the files, tag to score"},
                                       {"scheme", "BILOU", "entity tags L- and U- are I- and B-"},
                                       {"json", "", "print a JSON object instead of the table"}});
  return {spec, run_score};
}

}  // namespace hyperx
