#include "common/config/make_option.h"

namespace hyperx::config {
namespace {

template <class Group, class T>
Option opt(Group Config::*group, T Group::*member, const char* key, const char* help, Check check = {},
           Resume resume = Resume::kFree) {
  return bind<T>([group, member](Config& config) -> T& { return config.*group.*member; },
                 [group, member](const Config& config) -> const T& { return config.*group.*member; },
                 {key, help, {}, std::move(check), resume, nullptr, nullptr});
}
template <class Group>
Option path_opt(Group Config::*group, std::string Group::*member, const char* key, const char* help,
                Paths paths = Paths::kOne) {
  Option option = opt(group, member, key, help, any_text());
  option.paths = paths;
  return option;
}
template <class T>
Option opt(T Config::*member, const char* key, const char* help, Check check = {}, Resume resume = Resume::kFree) {
  return bind<T>([member](Config& config) -> T& { return config.*member; },
                 [member](const Config& config) -> const T& { return config.*member; },
                 {key, help, {}, std::move(check), resume, nullptr, nullptr});
}

// Units are in brackets. Defaults are the initialisers in config.h.
std::vector<Option> table(const std::vector<std::string>& methods) {
  using C = Config;
  using D = DataConfig;
  using M = ModelConfig;
  using T = TrainConfig;
  using P = ParallelConfig;
  using E = EvalConfig;
  using K = CheckpointConfig;
  return {
      path_opt(&C::run, &RunConfig::dir, "run.dir", "run folder: checkpoints, log, metrics, results"),

      path_opt(&C::data, &D::corpus, "data.corpus", "folder that `prepare` writes and `train` reads"),
      path_opt(&C::data, &D::root, "data.root",
               "folder that a manifest's paths are relative to; empty: the manifest's own"),
      opt(&C::data, &D::max_subwords, "data.max_subwords", "longest sentence, [CLS] and [SEP] included [sub-words]",
          in_range(3, 65536), Resume::kFixed),
      opt(&C::data, &D::overlap, "data.overlap",
          "training sentences that also occur in a dev or test file: count them, leave them out, or refuse the data",
          one_of({"report", "drop", "refuse"})),
      opt(&C::data, &D::label_position, "data.label_position",
          "sub-word that carries a word's label: its first, or the first that is not a bare blank (▁); auto: "
          "after-blank "
          "where the vocabulary has such a blank",
          one_of({"auto", "first", "after-blank"})),
      opt(&C::data, &D::train_on_test, "data.train_on_test",
          "train on the test split of a pair that has no other; such a pair is never scored"),

      path_opt(&C::model, &M::encoder, "model.encoder",
               "folder with config.json, vocabulary, model.safetensors; random:FOLDER: that configuration with weights "
               "drawn "
               "from train.seed",
               Paths::kEncoder),
      opt(&C::model, &M::encoder_layers, "model.encoder_layers",
          "use the encoder's first so many layers; 0: all [layers]", in_range(0, 65536), Resume::kFixed),
      opt(&C::model, &M::method, "model.method", "what is trained on the encoder", one_of(methods), Resume::kFixed),
      opt(&C::model, &M::dropout, "model.dropout",
          "dropout of embeddings, sub-layer outputs and head inputs [probability]", fraction(), Resume::kFixed),
      opt(&C::model, &M::attention_dropout, "model.attention_dropout",
          "dropout of attention probabilities [probability]", fraction(), Resume::kFixed),
      opt(&C::model, &M::mlm_decoder, "model.mlm_decoder",
          "MLM decoder matrix: the frozen token embeddings, or a trained copy", one_of({"tied", "trained"}),
          Resume::kFixed),

      opt(&C::train, &T::pairs, "train.pairs", "pairs to train, such as pos:en,mlm:*", any_text(), Resume::kFixed),
      opt(&C::train, &T::steps, "train.steps", "length of the training [optimizer steps]", at_least(1),
          Resume::kLogged),
      opt(&C::train, &T::epochs, "train.epochs",
          "length of the training, instead of train.steps; 0: use train.steps [passes over all pairs]", at_least(0),
          Resume::kLogged),
      opt(&C::train, &T::batch_sentences, "train.batch_sentences",
          "size of a mini-batch of one pair, for any number of ranks [sentences]", in_range(1, 1 << 20),
          Resume::kFixed),
      opt(&C::train, &T::pairs_per_step, "train.pairs_per_step", "number of mini-batches averaged in one step [pairs]",
          in_range(1, 65536), Resume::kFixed),
      opt(&C::train, &T::micro_batch_tokens, "train.micro_batch_tokens",
          "most tokens a rank computes at once; 0: its whole share [tokens]", at_least(0)),
      opt(&C::train, &T::learning_rate, "train.learning_rate", "peak learning rate of Adam, after the warm-up",
          above(0), Resume::kLogged),
      opt(&C::train, &T::warmup_steps, "train.warmup_steps",
          "linear warm-up; -1: 4 % of the steps that the run began with [optimizer steps]", at_least(-1),
          Resume::kLogged),
      opt(&C::train, &T::schedule, "train.schedule", "learning rate after the warm-up: linear decay, or constant",
          one_of({"linear", "constant"}), Resume::kLogged),
      opt(&C::train, &T::final_learning_rate, "train.final_learning_rate",
          "learning rate at the end of the linear decay", at_least(0), Resume::kLogged),
      opt(&C::train, &T::clip_norm, "train.clip_norm", "largest gradient norm; 0: no clipping", at_least(0),
          Resume::kLogged),
      opt(&C::train, &T::weight_decay, "train.weight_decay", "decoupled weight decay [per unit of learning rate]",
          at_least(0), Resume::kLogged),
      opt(&C::train, &T::temperature, "train.temperature",
          "temperature T of drawing pairs, q ~ n^(1/T); 1: proportional, 0: uniform", at_least(0), Resume::kFixed),
      opt(&C::train, &T::sampling, "train.sampling",
          "draw a pair for each step, or lay out whole epochs (as the original)", one_of({"draw", "epoch"}),
          Resume::kFixed),
      opt(&C::train, &T::seed, "train.seed", "seed of weights, draws, masks and dropout", {}, Resume::kFixed),
      opt(&C::train, &T::precision, "train.precision",
          "type of matrix products; auto: bf16 where the device computes it fast",
          one_of({"auto", "fp32", "bf16", "fp64"}), Resume::kLogged),
      path_opt(&C::train, &T::init_from, "train.init_from",
               "checkpoint or run whose weights to start from, with a fresh optimizer"),
      opt(&C::train, &T::deterministic, "train.deterministic", "same bits in every run, on CUDA too; slower there", {},
          Resume::kLogged),
      opt(&C::train, &T::cuda_graphs, "train.cuda_graphs",
          "on a GPU in bf16: replay forward and backward as CUDA graphs (never run on a GPU yet)", {}, Resume::kLogged),
      opt(&C::train, &T::nonfinite_limit, "train.nonfinite_limit",
          "steps in a row, skipped for a gradient with inf or nan, that end the run [steps]", at_least(1)),

      opt(&C::parallel, &P::generator, "parallel.generator",
          "generators and their optimizer state: whole on every rank, or sharded over the ranks",
          one_of({"replicated", "sharded"})),
      opt(&C::parallel, &P::exchange, "parallel.exchange",
          "what ranks send: summed adapter gradients, gathered adapter gradients, or the dense gradient; auto: the "
          "fewest bytes",
          one_of({"auto", "factors", "gather", "dense"})),
      opt(&C::parallel, &P::backend, "parallel.backend",
          "communication library; auto: nccl on GPUs, else mpi, local for one rank",
          one_of({"auto", "nccl", "mpi", "local"})),
      opt(&C::parallel, &P::start_limit_seconds, "parallel.start_limit_seconds",
          "longest start before the watchdog ends the job [s]", at_least(1)),
      opt(&C::parallel, &P::step_limit_seconds, "parallel.step_limit_seconds",
          "longest step before the watchdog ends the job; 0: 20 times what steps took so far, at least 60 s (300 s for "
          "the "
          "first 16 steps) [s]",
          at_least(0)),
      opt(&C::parallel, &P::checkpoint_limit_seconds, "parallel.checkpoint_limit_seconds",
          "longest checkpoint before the watchdog ends the job [s]", at_least(1)),
      opt(&C::parallel, &P::evaluation_limit_seconds, "parallel.evaluation_limit_seconds",
          "longest evaluation before the watchdog ends the job [s]", at_least(1)),

      opt(&C::eval, &E::pairs, "eval.pairs", "pairs to score; empty: every pair of the corpus that has the split",
          any_text(), Resume::kLogged),
      opt(&C::eval, &E::every, "eval.every", "evaluate after every so many steps; 0: never [optimizer steps]",
          at_least(0)),
      opt(&C::eval, &E::split, "eval.split", "split to score; both: for `evaluate` only",
          one_of({"dev", "test", "both"}), Resume::kLogged),
      opt(&C::eval, &E::limit, "eval.limit", "most sentences scored per pair; 0: all [sentences]", at_least(0),
          Resume::kLogged),
      opt(&C::eval, &E::batch_tokens, "eval.batch_tokens", "evaluation batch [tokens]", at_least(1)),
      opt(&C::eval, &E::predictions, "eval.predictions", "also write the predicted labels beside each result"),

      opt(&C::checkpoint, &K::every, "checkpoint.every",
          "distance between checkpoints; 0: only one, at the end [optimizer steps]", at_least(0)),
      opt(&C::checkpoint, &K::keep_last, "checkpoint.keep_last", "newest checkpoints to keep", at_least(1)),
      opt(&C::checkpoint, &K::keep_best, "checkpoint.keep_best",
          "best checkpoints to keep in addition; 0: none is saved for its score", at_least(0)),
      opt(&C::checkpoint, &K::select, "checkpoint.select",
          "pairs whose mean main metric selects the best checkpoint; empty: those of eval.pairs", any_text(),
          Resume::kLogged),

      opt(&C::device, "device", "device that computes; auto: the GPU if there is one", one_of({"auto", "cpu", "cuda"})),
      opt(&C::kernels, "kernels",
          "kernels for the operations between matrix products on a GPU: LibTorch's, or hyperx's own (never run on a "
          "GPU yet)",
          one_of({"libtorch", "hyperx"}), Resume::kLogged),
      opt(&C::threads, "threads", "threads per rank; 0: as many as the affinity mask allows", in_range(0, 4096)),
  };
}

void check_length(const Config& config, const Given& given) {
  const TrainConfig& train = config.train;
  require(
      train.epochs == 0 || given("train.steps") <= Source::kDefault,
      "train.steps = {} and train.epochs = {} both set the length of the training: give one of them (train.epochs = 0 "
      "takes the other back)",
      train.steps, train.epochs);
  require(train.epochs > 0 || train.warmup_steps <= train.steps,
          "train.warmup_steps = {} is more than train.steps = {}: the rate would never reach its height; set "
          "train.warmup_steps too",
          train.warmup_steps, train.steps);
}

void check_rates(const Config& config, const Given& given) {
  const TrainConfig& train = config.train;
  require(given("train.final_learning_rate") <= Source::kDefault || train.schedule != "constant",
          "train.final_learning_rate has no effect with train.schedule = 'constant': remove one of them");
  require(train.final_learning_rate <= train.learning_rate,
          "train.final_learning_rate = {} is above train.learning_rate = {}: the schedule goes down",
          train.final_learning_rate, train.learning_rate);
}

void check_parallel(const Config& config, const Given&) {
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

void check_kernels(const Config& config, const Given&) {
  require(config.kernels != "hyperx" || config.device != "cpu",
          "kernels = 'hyperx' are those of a GPU, but device = 'cpu': take kernels 'libtorch' (the CPU has its own, "
          "always)");
  require(config.kernels != "hyperx" || config.train.precision != "fp64",
          "kernels = 'hyperx' know no train.precision = 'fp64': take kernels 'libtorch'");
}

}  // namespace

Schema run_options(const std::vector<std::string>& methods) {
  Schema schema;
  schema.options = table(methods);
  schema.rules = {check_length, check_rates, check_parallel, check_kernels};
  schema.retired = {
      {.key = "train.generator_gradient", .advice = "parallel.exchange = dense computes and sends dense gradients"},
      {.key = "train.length_bucket", .advice = "it saved no time, as nothing is padded", .value_of_now = "0"},
  };
  return schema;
}

}  // namespace hyperx::config
