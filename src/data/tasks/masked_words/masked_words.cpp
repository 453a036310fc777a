#include "data/tasks/masked_words/masked_words.h"

#include <cmath>

namespace hyperx::data {
namespace {

class LossScorer : public Scorer {
 public:
  void add(const ScoredSentence& sentence) override {
    loss_ += sentence.loss;
    masked_ += sentence.masked;
  }

  MetricSet metrics() const override {
    const double mean = masked_ > 0 ? loss_ / static_cast<double>(masked_) : std::nan("");
    return {{{"loss", mean}, {"perplexity", std::exp(mean)}}, {}};
  }

  std::optional<MetricSums> sums(const std::string&) const override { return std::nullopt; }

 private:
  double loss_ = 0;
  int64_t masked_ = 0;
};

}  // namespace

std::unique_ptr<Scorer> MaskedWords::scorer(const std::vector<std::string>&) const {
  return std::make_unique<LossScorer>();
}

}  // namespace hyperx::data
