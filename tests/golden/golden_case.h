#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/encoder/safetensors.h"
#include "model/methods/hyperx/hypernetwork_block.h"
#include "model/model.h"

namespace hyperx::golden {

struct Tolerance {  // what is asked of float64 code against float64 arrays, and of all else
  double wide, narrow;
};
constexpr Tolerance kLoss{1e-10, 3e-6};
constexpr Tolerance kOutputs{1e-9, 2e-5};
constexpr Tolerance kGradients{1e-8, 5e-5};
constexpr Tolerance kParameters{1e-9, 1e-5};  // absolute, after some updates

// One line of a check: how far one array of ours is from the reference.
struct Deviation {
  std::string name;
  double absolute = 0;  // max |ours - reference|
  double relative = 0;  // max |ours - reference| / max |reference|
  double tolerance = 0;
  bool by_absolute = false;                                                         // the tolerance is on `absolute`
  bool passed() const { return (by_absolute ? absolute : relative) <= tolerance; }  // false for NaN
};

// A folder in the format of the reference cases (case.json, case.safetensors): a model made from its weights, and its
// arrays.
class GoldenCase {
 public:
  // `type` is fp64 or fp32. UserError for a folder that is not a case; SkippedCase where it needs what we lack.
  GoldenCase(const std::string& folder, const std::string& weights_file, at::ScalarType type);

  std::vector<Deviation> check();

 private:
  void read_config();
  bool has_encoder_folder() const;  // encoder/: sizes and weights as Hugging Face writes them
  void read_sizes(const nlohmann::json& config);
  void read_method();
  void read_madx();
  void read_psf();
  void make_model(const std::string& weights_file);
  void set_weights();
  data::Pair pair() const;

  struct PackedInput {
    model::PackedBatch labelled;  // label positions as in the case
    model::PackedBatch all;       // every token, for the logits
    at::Tensor rows;              // [tokens] row of the padded [batch * length] each token comes from
  };
  PackedInput pack(const std::string& prefix) const;
  at::Tensor reference(const std::string& part, const std::string& name, bool& wide) const;
  void compare(const std::string& part, const std::string& name, const at::Tensor& ours, double wide_tolerance,
               double narrow_tolerance, bool by_absolute = false);

  void check_forward_backward();
  void check_swapped(const PackedInput& input);
  void check_psf();
  void check_trees();
  void check_gradients();
  void check_adapters(const model::GeneratorGradient& generator);
  void check_hidden(const std::string& prefix, const std::vector<at::Tensor>& hidden, const at::Tensor& rows);
  void check_summary(const std::string& prefix, const at::Tensor& last, const at::Tensor& rows);
  void check_steps();
  void require_all_compared();  // a result of the case that no check above has read is a failure

  std::string folder_;
  at::ScalarType type_;
  nlohmann::json json_;
  std::unique_ptr<model::Safetensors> arrays_;
  model::EncoderSpec spec_;
  Config config_;
  data::TaskSet tasks_;
  std::vector<std::string> languages_;
  std::vector<model::TrainedRun> needed_;
  std::vector<data::Pair> pairs_;  // trained on
  std::unique_ptr<model::Model> model_, plain_;
  std::map<std::string, at::Tensor> gradients_;  // ours, of every trained tensor, after check_forward_backward
  std::vector<Deviation> deviations_;
};

struct SkippedCase : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace hyperx::golden
