#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/encoder/encoder_weights.h"
#include "model/methods/method.h"
#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/dropout.h"
#include "model/ops/cpu/residual_norm.h"
#include "model/ops/linear.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

struct EncoderInput {
  at::Tensor input_ids;  // [tokens] int64
  at::Tensor positions;  // [tokens] int64, from 0 in each sentence
  SentenceStarts sentence_starts;
  RowKeys row_keys;             // dropout keys of the rows
  std::vector<PairRows> pairs;  // in order, covering all rows
  // The rows whose last hidden states are needed, [outputs] int64, and which of these each pair has. Undefined: all
  // rows.
  at::Tensor output_rows;
  std::vector<PairRows> output_pairs;
};

struct DropoutRates {
  double hidden = 0.1;
  double attention = 0.1;
};

// An encoder of BERT's architecture over packed sentences.
class Encoder {
 public:
  // Adds its trained tensors to `parameters` as "encoder." + name. `compute` is the type of matrix products and
  // activations.
  Encoder(const EncoderWeights& weights, ParameterSet& parameters, EncoderTraining trains, at::ScalarType compute,
          at::Device device);

  // Last hidden states of the needed rows: [outputs, hidden]. After attention no row depends on another, so the last
  // layer computes only these from there on. `hidden_states`, if given, gets those of all rows after the embeddings and
  // after each layer.
  at::Tensor forward(const EncoderInput& input, Method& method, const DropoutRates& rates, const DropoutStream& dropout,
                     std::vector<at::Tensor>* hidden_states = nullptr) const;

  const EncoderSpec& spec() const { return spec_; }
  at::ScalarType compute_type() const { return compute_; }
  // [vocabulary, hidden]: the tied decoder of the MLM head.
  const at::Tensor& word_embeddings() const { return word_embeddings_; }

 private:
  struct Layer {
    Linear query_key_value;        // frozen: the three concatenated
    std::vector<Linear> separate;  // trained: query, key, value
    Linear attention_output, up, down;
    NormParameters attention_norm, output_norm;
  };
  at::Tensor embed(const EncoderInput& input) const;
  // x [tokens, hidden]; returns the same shape, or [outputs, hidden] for the needed rows.
  at::Tensor layer_forward(int64_t index, bool outputs_alone, const at::Tensor& x, const EncoderInput& input,
                           Method& method, const DropoutRates& rates, const DropoutStream& dropout) const;

  EncoderSpec spec_;
  at::ScalarType compute_;
  at::Tensor word_embeddings_, position_embeddings_;
  at::Tensor type_embeddings_;  // undefined where the encoder has no token types
  NormParameters embedding_norm_;
  std::vector<Layer> layers_;
};

// LayerNorm over the last dimension with parameters of a wider type than x; the result has x's type.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

}  // namespace hyperx::model
