#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/methods/madx/adapter.h"
#include "model/methods/madx/madx_options.h"
#include "model/methods/method.h"

namespace hyperx::model {

// MAD-X (docs/method.md section 5): with u the output of the feed-forward part and x the input of its residual sum,
// each adapter A of the stack, the language's and then the task's, makes u := A(LN(u + x)) + u, and the layer's output
// is LN(u + x), with the layer's own LayerNorm each time. The encoder is frozen, LayerNorms included.
class Madx final : public Method {
 public:
  // UserError (78, 65): the run's pairs do not make one adapter; a language adapter does not fit.
  explicit Madx(const MethodContext& context);

  void select(const std::vector<data::Pair>& pairs, bool training, int64_t step) override;
  at::Tensor after_embeddings(const at::Tensor& x, const std::vector<PairRows>& pairs) override;
  at::Tensor end_layer(int64_t layer, const LayerEnd& end) override;
  at::Tensor before_decoder(int64_t pair, const at::Tensor& x) override;
  std::string built_on(const std::string& language) const override;

 private:
  struct LanguageAdapter {
    std::vector<Bottleneck> layers;
    std::optional<InvertibleAdapter> invertible;
  };
  LanguageAdapter make_language(const TensorSource& source, const MadxOptions& options, const EncoderSpec& spec) const;
  void add_frozen_language(const MethodContext& context, const TrainedRun& run);
  TensorSource trained(const MethodContext& context, const std::string& prefix) const;
  void require_adapter(const std::string& language) const;  // UserError (78): there is none
  const LanguageAdapter& language_of(int64_t pair) const;

  ParameterSet& parameters_;
  at::ScalarType compute_;
  std::map<std::string, LanguageAdapter> languages_;
  std::map<std::string, std::string> digests_;  // of the frozen ones, by language
  std::vector<Bottleneck> task_;                // empty in a language's run
  std::vector<data::Pair> pairs_;
};

}  // namespace hyperx::model
