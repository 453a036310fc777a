#include <iostream>

#include "app/commands.h"
#include "common/errors.h"
#include "common/log.h"
#include "data/corpus/prepare.h"
#include "data/corpus/prepare_summary.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx {

namespace {

int run_prepare(const CommandLine& line) {
  if (line.objects.size() != 1) {
    throw UserError(ExitCode::kUsage,
                    "prepare takes one manifest, as in: hyperx prepare data.tsv --data.corpus corpus "
                    "--model.encoder mbert");
  }
  data::PrepareOptions options;
  options.manifest = line.objects[0];
  options.root = line.config.data.root;
  options.corpus = line.config.data.corpus;
  options.tokenizer = model::encoder_folder(line.config.model.encoder);
  if (options.corpus.empty()) throw UserError(ExitCode::kUsage, "--data.corpus FOLDER is missing: where to write");
  if (options.tokenizer.empty()) {
    throw UserError(ExitCode::kUsage,
                    "--model.encoder FOLDER is missing: the encoder whose vocabulary tokenizes the text");
  }
  options.label_position = line.config.data.label_position;
  options.max_subwords = line.config.data.max_subwords;
  options.task_options = line.config.sections;
  options.overlap = line.config.data.overlap;
  options.train_on_test = line.config.data.train_on_test;
  options.force = line.has_flag("force");
  options.threads = line.config.threads;
  const data::CorpusIndex index = data::prepare(options);
  std::cout << data::summary_table(index);
  log::info("corpus of {} pairs written to {}", index.pairs.size(), options.corpus);
  return 0;
}

}  // namespace

Command prepare_command() {
  CommandSpec spec;
  spec.name = "prepare";
  spec.usage = "hyperx prepare MANIFEST --data.corpus FOLDER --model.encoder FOLDER [--data.root FOLDER] [--force]";
  spec.summary = "tokenizes the files of a manifest and writes the corpus that training reads";
  spec.help =
      "Reads treebanks (CoNLL-U), tagged lines and plain text, splits words into sub-words of the encoder's\n"
      "vocabulary and writes one file per pair, an index and a summary: sentences, words, sub-words, the [UNK]\n"
      "rate, words without a label position, and how many dev and test sentences occur in training data\n"
      "(data.overlap). The folder appears only when it is complete.\n\n"
      "Example:\n"
      "  hyperx prepare examples/sample/manifest.tsv --data.corpus corpus --model.encoder examples/encoder";
  spec.key_prefixes = {"data.", "model.encoder", "threads"};
  spec.flags = {{"force", "", "replace an existing corpus"}};
  return {spec, run_prepare};
}

}  // namespace hyperx
