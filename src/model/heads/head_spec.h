#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/tasks/task.h"
#include "model/encoder/encoder_spec.h"

// The part of a head that needs no LibTorch: its costs, for `estimate`.
namespace hyperx::model {

struct HeadQuestion {
  const data::Task& task;
  const EncoderSpec& encoder;
  bool trained_decoder = false;  // model.mlm_decoder = trained
  bool trains_encoder = false;
  bool method_makes_heads = false;  // MethodSpec::makes_heads
};

struct HeadCosts {
  int64_t values = 0;            // number of trained values
  double products = 0;           // multiplications by weights per label, forward and backward together
  int64_t classes = 0;           // scores per label
  double activation_values = 0;  // kept per label for the backward pass, beside the scores
  int64_t copied_values = 0;     // frozen weights that are also kept in the compute type
};

struct HeadSpec {
  std::string_view kind;  // Task::head
  HeadCosts (*costs)(const HeadQuestion& question);
};

// Costs of the head that the question's task names.
HeadCosts head_costs(const HeadQuestion& question);

const std::vector<HeadSpec>& head_specs();
// Index of the row that a task's head names.
size_t find_head(std::string_view kind);

}  // namespace hyperx::model
