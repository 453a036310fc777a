#include "data/tasks/entities/entities.h"

#include "data/tasks/entities/entity_f1.h"
#include "data/tasks/scoring.h"
#include "data/tasks/tagging/accuracy.h"

namespace hyperx::data {
namespace {

constexpr char kStrict[] = "strict_";

class EntitiesScorer : public Scorer {
 public:
  explicit EntitiesScorer(const std::vector<std::string>& tags) : entities_(tags), accuracy_(tags) {}

  void add(const ScoredSentence& sentence) override {
    entities_.add(sentence.gold, sentence.predicted);
    accuracy_.add(sentence.gold, sentence.predicted);
  }

  MetricSet metrics() const override {
    const EntityScores scores = entities_.default_scores();
    const EntityScores strict = entities_.strict_scores();
    return {{{"f1", scores.micro.f1},
             {"precision", scores.micro.precision},
             {"recall", scores.micro.recall},
             {"macro_f1", scores.macro.f1},
             {"weighted_f1", scores.weighted.f1},
             {"strict_f1", strict.micro.f1},
             {"strict_precision", strict.micro.precision},
             {"strict_recall", strict.micro.recall},
             {"accuracy", accuracy_.accuracy()}},
            scores.types};
  }

  std::optional<MetricSums> sums(const std::string& metric) const override {
    if (metric == "accuracy") return MetricSums{accuracy_.correct(), accuracy_.words()};
    const bool is_strict = metric.starts_with(kStrict);
    const std::string name = is_strict ? metric.substr(std::size(kStrict) - 1) : metric;
    const MatchCounts counts = entities_.total(is_strict ? EntityMode::kStrict : EntityMode::kDefault);
    if (name == "f1") return MetricSums{2 * counts.correct, counts.gold + counts.predicted};
    if (name == "precision") return MetricSums{counts.correct, counts.predicted};
    if (name == "recall") return MetricSums{counts.correct, counts.gold};
    return std::nullopt;
  }

  void add_to(FileScores& scores) const override {
    accuracy_.add_to(scores);
    scores.entities = entities_.default_scores();
    scores.strict_entities = entities_.strict_scores();
  }

 private:
  EntityScorer entities_;
  AccuracyScorer accuracy_;
};

}  // namespace

bool Entities::may_be_tag(const std::string& tag) const { return is_entity_tag(tag); }

std::unique_ptr<Scorer> Entities::scorer(const std::vector<std::string>& tags) const {
  return std::make_unique<EntitiesScorer>(tags);
}

}  // namespace hyperx::data
