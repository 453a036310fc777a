#include "common/config/config.h"
#include "common/errors.h"
#include "common/log.h"

namespace hyperx {
namespace {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw UserError(ExitCode::kBadConfig, fmt::format(format, std::forward<Args>(args)...));
}

void check_model(const ModelConfig& model) {
  require(model.method == "hyperx", "model.method = '{}': not yet in this version, which trains hyperx alone",
          model.method);
}

void check_train(const TrainConfig& train) {
  require(train.epochs > 0 || train.warmup_steps <= train.steps,
          "train.warmup_steps = {} is more than train.steps = {}: the rate would never reach its height; set "
          "train.warmup_steps too",
          train.warmup_steps, train.steps);
  require(train.final_learning_rate <= train.learning_rate,
          "train.final_learning_rate = {} is above train.learning_rate = {}: the schedule goes down",
          train.final_learning_rate, train.learning_rate);
}

void check_parallel(const Config& config) {
  require(config.parallel.generator != "sharded" || config.parallel.exchange != "dense",
          "parallel.generator = 'sharded' keeps no dense gradient; set parallel.exchange to 'auto', 'factors' or "
          "'gather', or parallel.generator to 'replicated'");
  require(!config.train.cuda_graphs || config.device != "cpu",
          "train.cuda_graphs = 1 wants a GPU, but device = 'cpu': leave it out");
  require(!config.train.cuda_graphs || config.train.precision == "auto" || config.train.precision == "bf16",
          "train.cuda_graphs = 1 wants train.precision 'bf16' or 'auto', not '{}': only there attention is one kernel",
          config.train.precision);
  require(config.parallel.backend != "nccl" || config.device != "cpu",
          "parallel.backend = 'nccl' wants GPUs, but device = 'cpu': take backend 'mpi'");
}

void check_kernels(const Config& config) {
  require(config.kernels != "hyperx" || config.device != "cpu",
          "kernels = 'hyperx' are those of a GPU, but device = 'cpu': take kernels 'libtorch' (the CPU has its own, "
          "always)");
  require(config.kernels != "hyperx" || config.train.precision != "fp64",
          "kernels = 'hyperx' know no train.precision = 'fp64': take kernels 'libtorch'");
}

}  // namespace

void validate(const Config& config) {
  check_model(config.model);
  check_train(config.train);
  check_parallel(config);
  check_kernels(config);
}

void validate(const CommandLine& line) {
  const TrainConfig& train = line.config.train;
  const ModelConfig& model = line.config.model;
  require(
      !(line.given("train.steps") && train.epochs > 0),
      "train.steps = {} and train.epochs = {} both set the length of the training: give one of them (train.epochs = 0 "
      "takes the other back)",
      train.steps, train.epochs);
  require(!(line.given("train.final_learning_rate") && train.schedule == "constant"),
          "train.final_learning_rate has no effect with train.schedule = 'constant': remove one of them");
  require(!(line.given("model.source_hidden_dim") && model.projected_dim == 0),
          "model.source_hidden_dim has no effect without the projection (model.projected_dim = 0): remove one of them");
  validate(line.config);
}

}  // namespace hyperx
