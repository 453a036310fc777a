#include "data/tasks/tagging/pos_options.h"

#include "common/config/make_option.h"

namespace hyperx::data {

void add_pos_options(config::Schema& schema) {
  using config::Resume;
  schema.options.push_back(
      config::option(&PosOptions::multiword, "pos.multiword",
                     "multiword-range lines of CoNLL-U; keep: they are words tagged _ (as the original)",
                     config::one_of({"drop", "keep"}), Resume::kFree, "data."));
  schema.options.push_back(config::option(&PosOptions::metric, "pos.metric",
                                          "score: accuracy over words, or seqeval's F1 of bare tags (as the original)",
                                          config::one_of({"accuracy", "seqeval"}), Resume::kLogged, "eval."));
  schema.retired.push_back({.key = "data.pos_multiword", .new_key = "pos.multiword"});
  schema.retired.push_back({.key = "eval.pos_metric", .new_key = "pos.metric"});
}

CorpusOption pos_corpus_option() {
  return {"pos_multiword", [](const Sections& options) { return options.get<PosOptions>().multiword; },
          [](Sections& options, const std::string& value) { options.edit<PosOptions>().multiword = value; }};
}

}  // namespace hyperx::data
