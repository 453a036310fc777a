#include "data/tasks/tagging/tagging.h"

#include <algorithm>

#include "common/errors.h"
#include "data/tasks/scoring.h"
#include "data/tasks/tagging/accuracy.h"
#include "data/tasks/tagging/seqeval_pos.h"

namespace hyperx::data {
namespace {

constexpr char kNoTag[] = "_";
constexpr int kUposColumn = 4;

std::vector<std::string> with_multiword_tag(std::vector<std::string> labels, const PosOptions& options) {
  if (options.multiword != "drop" && options.multiword != "keep")
    throw UserError(ExitCode::kBadConfig, "pos.multiword: unknown value '" + options.multiword + "': drop or keep");
  const bool has_it = std::find(labels.begin(), labels.end(), kNoTag) != labels.end();
  if (options.multiword == "keep" && !has_it) labels.emplace_back(kNoTag);
  return labels;
}

class TaggingScorer : public Scorer {
 public:
  TaggingScorer(const std::vector<std::string>& tags, bool seqeval)
      : accuracy_(tags), seqeval_(tags), with_seqeval_(seqeval) {}

  void add(const ScoredSentence& sentence) override {
    accuracy_.add(sentence.gold, sentence.predicted);
    seqeval_.add(sentence.gold, sentence.predicted);
  }

  MetricSet metrics() const override {
    MetricSet metrics;
    metrics.values["accuracy"] = accuracy_.accuracy();
    for (const auto& [tag, score] : accuracy_.tag_scores()) metrics.types[tag] = score;
    if (!with_seqeval_) return metrics;
    const Score score = seqeval_.overall();
    metrics.values["seqeval_f1"] = score.f1;
    metrics.values["seqeval_precision"] = score.precision;
    metrics.values["seqeval_recall"] = score.recall;
    return metrics;
  }

  std::optional<MetricSums> sums(const std::string& metric) const override {
    if (metric != "accuracy") return std::nullopt;  // seqeval's chunks reach over the ends of sentences
    return MetricSums{accuracy_.correct(), accuracy_.words()};
  }

  void add_to(FileScores& scores) const override {
    accuracy_.add_to(scores);
    scores.seqeval = seqeval_.overall();
  }

 private:
  AccuracyScorer accuracy_;
  SeqevalPosScorer seqeval_;
  bool with_seqeval_;
};

}  // namespace

Tagging::Tagging(std::string name, std::vector<std::string> labels, const Sections& options)
    : Task(std::move(name), with_multiword_tag(std::move(labels), options.get<PosOptions>())),
      options_(options.get<PosOptions>()) {}

void Tagging::complete(SourceSpec& source) const {
  source.conllu_column = kUposColumn;
  source.keep_multiword = source.format == SourceFormat::kConllu && options_.multiword == "keep";
}

std::string Tagging::no_prediction() const { return kNoTag; }

// If multiword lines are words, `_` is a tag like any other.
std::string Tagging::untagged(const SourceSpec& source) const { return source.keep_multiword ? "" : kNoTag; }

std::string Tagging::main_metric() const { return options_.metric == "seqeval" ? "seqeval_f1" : "accuracy"; }

std::unique_ptr<Scorer> Tagging::scorer(const std::vector<std::string>& tags) const {
  return std::make_unique<TaggingScorer>(tags, options_.metric == "seqeval");
}

std::vector<std::string> universal_tags() {
  return {"ADJ",  "ADP",  "ADV",   "AUX",   "CCONJ", "DET", "INTJ", "NOUN", "NUM",
          "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"};
}

}  // namespace hyperx::data
