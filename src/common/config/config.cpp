#include "common/config/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "common/config/config_table.h"
#include "common/log.h"

namespace hyperx::config {
namespace {

constexpr std::string_view kYes[] = {"yes", "true", "1"};
constexpr std::string_view kNo[] = {"no", "false", "0"};

Check one_of(std::vector<std::string> words) { return {.words = std::move(words)}; }
Check at_least(double low) { return {.low = low}; }
Check above(double low) { return {.low = low, .low_allowed = false}; }
Check in_range(double low, double high) { return {.low = low, .high = high}; }
Check fraction() { return {.low = 0, .high = 1, .high_allowed = false}; }
Check any_text() { return {}; }

template <class T>
constexpr const char* kind_of() {
  if (std::is_same_v<T, bool>) return "yes or no";
  if (std::is_integral_v<T>) return "integer";
  if (std::is_floating_point_v<T>) return "number";
  return "text";
}

enum class Reading { kGood, kNotOne, kTooLarge };

// Numbers: the whole text, decimal, inside the type's range; no hexadecimal, no inf or nan.
template <class T>
Reading read_value(std::string_view text, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range && stop == end) return Reading::kTooLarge;
  return error == std::errc() && stop == end && std::isfinite(static_cast<double>(value)) ? Reading::kGood
                                                                                          : Reading::kNotOne;
}
Reading read_value(std::string_view text, bool& value) {
  value = std::find(std::begin(kYes), std::end(kYes), text) != std::end(kYes);
  return value || std::find(std::begin(kNo), std::end(kNo), text) != std::end(kNo) ? Reading::kGood : Reading::kNotOne;
}
// Text must survive a config file, where # starts a comment and blanks around a value mean nothing.
Reading read_value(std::string_view text, std::string& value) {
  const auto breaks = [](unsigned char c) { return c < ' ' || c == '#' || c == 0x7F; };
  if (std::any_of(text.begin(), text.end(), breaks)) return Reading::kNotOne;
  if (!text.empty() && (text.front() == ' ' || text.back() == ' ')) return Reading::kNotOne;
  value = text;
  return Reading::kGood;
}

template <class T>
bool satisfies(const Check& check, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return check.words.empty() || std::find(check.words.begin(), check.words.end(), value) != check.words.end();
  } else {
    const double number = static_cast<double>(value);
    return (check.low_allowed ? number >= check.low : number > check.low) &&
           (check.high_allowed ? number <= check.high : number < check.high);
  }
}

std::string write_value(bool value) { return value ? "yes" : "no"; }
std::string write_value(const std::string& value) { return value; }
template <class T>
std::string write_value(T value) {
  return fmt::format("{}", value);  // for a double the shortest text that reads back to the same bits
}

template <class Reach>
Option make_option(Reach reach, const char* key, const char* help, Check check) {
  using T = std::remove_reference_t<decltype(reach(std::declval<Config&>()))>;
  Option option{key, help, kind_of<T>(), std::move(check), nullptr, nullptr};
  option.set = [reach, made_for = option](Config& config, const std::string& text) {
    T value{};
    const Reading reading = read_value(text, value);
    if (reading == Reading::kTooLarge) {
      throw std::invalid_argument(
          fmt::format("{}; this does not fit into {} bits", made_for.expected(), 8 * sizeof(T)));
    }
    if (reading != Reading::kGood || !satisfies(made_for.check, value))
      throw std::invalid_argument(made_for.expected());
    reach(config) = value;
  };
  option.get = [reach](const Config& config) {
    Config copy = config;  // `reach` is written once, for a Config that may change
    return write_value(reach(copy));
  };
  return option;
}

template <class Group, class T>
Option opt(Group Config::*group, T Group::*member, const char* key, const char* help, Check check = {}) {
  return make_option([group, member](Config& config) -> T& { return config.*group.*member; }, key, help,
                     std::move(check));
}
template <class T>
Option opt(T Config::*member, const char* key, const char* help, Check check = {}) {
  return make_option([member](Config& config) -> T& { return config.*member; }, key, help, std::move(check));
}

// The only place where an option exists. Units stand in brackets. Defaults are the initialisers in config.h.
std::vector<Option> make_table() {
  using C = Config;
  using D = DataConfig;
  using M = ModelConfig;
  using T = TrainConfig;
  using P = ParallelConfig;
  using E = EvalConfig;
  using K = CheckpointConfig;
  const Check norms = one_of({"none", "plain", "conditional"});
  return {
      opt(&C::run, &RunConfig::dir, "run.dir", "run folder: checkpoints, log, metrics, results", any_text()),

      opt(&C::data, &D::corpus, "data.corpus", "folder that `prepare` writes and `train` reads", any_text()),
      opt(&C::data, &D::root, "data.root", "folder that a manifest's paths are relative to; empty: the manifest's own",
          any_text()),
      opt(&C::data, &D::max_subwords, "data.max_subwords", "longest sentence, [CLS] and [SEP] included [sub-words]",
          in_range(3, 65536)),
      opt(&C::data, &D::overlap, "data.overlap",
          "training sentences that also stand in a dev or test file: count them, leave them out, or refuse the data",
          one_of({"report", "drop", "refuse"})),
      opt(&C::data, &D::pos_multiword, "data.pos_multiword",
          "multiword-range lines of CoNLL-U as words tagged _ (keep: as the original)", one_of({"drop", "keep"})),
      opt(&C::data, &D::train_on_test, "data.train_on_test",
          "a pair with a test split alone trains on it, and is then never scored"),

      opt(&C::model, &M::encoder, "model.encoder",
          "folder with config.json, vocab.txt, model.safetensors; random:FOLDER: that configuration with weights drawn "
          "from train.seed",
          any_text()),
      opt(&C::model, &M::method, "model.method", "what is trained on the encoder",
          one_of({"hyperx", "mbert", "madx", "psf"})),
      opt(&C::model, &M::adapter_dim, "model.adapter_dim", "adapter bottleneck width [features]", in_range(1, 65536)),
      opt(&C::model, &M::task_dim, "model.task_dim", "task embedding width [features]", in_range(1, 65536)),
      opt(&C::model, &M::language_dim, "model.language_dim", "language embedding width [features]", in_range(1, 65536)),
      opt(&C::model, &M::layer_dim, "model.layer_dim",
          "layer embedding width; 0: none, and a hypernetwork of its own a layer [features]", in_range(0, 65536)),
      opt(&C::model, &M::source_hidden_dim, "model.source_hidden_dim",
          "width between the two products of the projection P [features]", in_range(1, 65536)),
      opt(&C::model, &M::projected_dim, "model.projected_dim",
          "width of the projected source embedding; 0: no projection P [features]", in_range(0, 65536)),
      opt(&C::model, &M::adapter_position, "model.adapter_position",
          "where the adapter sits: after the FFN's second product, or after the layer",
          one_of({"ffn-output", "after-layer"})),
      opt(&C::model, &M::adapter_activation, "model.adapter_activation", "activation of the adapter's bottleneck",
          one_of({"relu", "gelu"})),
      opt(&C::model, &M::adapter_norm_before, "model.adapter_norm_before",
          "LayerNorm at the adapter's input; conditional: generated", norms),
      opt(&C::model, &M::adapter_norm_after, "model.adapter_norm_after",
          "LayerNorm at the adapter's output; conditional: generated", norms),
      opt(&C::model, &M::dropout, "model.dropout",
          "dropout of embeddings, sub-layer outputs and head inputs [probability]", fraction()),
      opt(&C::model, &M::attention_dropout, "model.attention_dropout",
          "dropout of attention probabilities [probability]", fraction()),
      opt(&C::model, &M::mlm_decoder, "model.mlm_decoder",
          "MLM decoder matrix: the frozen token embeddings, or a trained copy", one_of({"tied", "trained"})),

      opt(&C::train, &T::pairs, "train.pairs", "pairs to train, such as pos:en,mlm:*", any_text()),
      opt(&C::train, &T::steps, "train.steps", "length of the training [optimizer steps]", at_least(1)),
      opt(&C::train, &T::epochs, "train.epochs",
          "length of the training in place of train.steps; 0: by train.steps [passes over all pairs]", at_least(0)),
      opt(&C::train, &T::batch_sentences, "train.batch_sentences",
          "mini-batch of one pair, whatever the number of ranks [sentences]", in_range(1, 1 << 20)),
      opt(&C::train, &T::pairs_per_step, "train.pairs_per_step", "mini-batches that one step averages [pairs]",
          in_range(1, 65536)),
      opt(&C::train, &T::micro_batch_tokens, "train.micro_batch_tokens",
          "most that a rank computes at once; 0: all of its share [tokens]", at_least(0)),
      opt(&C::train, &T::learning_rate, "train.learning_rate", "highest rate of Adam, reached after the warm-up",
          above(0)),
      opt(&C::train, &T::warmup_steps, "train.warmup_steps", "linear warm-up [optimizer steps]", at_least(0)),
      opt(&C::train, &T::schedule, "train.schedule", "learning rate after the warm-up: linear decay, or constant",
          one_of({"linear", "constant"})),
      opt(&C::train, &T::final_learning_rate, "train.final_learning_rate", "where the linear decay ends", at_least(0)),
      opt(&C::train, &T::clip_norm, "train.clip_norm", "largest gradient norm; 0: no clipping", at_least(0)),
      opt(&C::train, &T::weight_decay, "train.weight_decay", "decoupled weight decay [per unit of learning rate]",
          at_least(0)),
      opt(&C::train, &T::temperature, "train.temperature",
          "T of the pairs' draw, q ~ n^(1/T); 1: proportional, 0: uniform", at_least(0)),
      opt(&C::train, &T::sampling, "train.sampling", "a draw a step, or whole epochs laid out (as the original)",
          one_of({"draw", "epoch"})),
      opt(&C::train, &T::length_bucket, "train.length_bucket",
          "so many mini-batches of a pair get sentences of like length each; 0: as they come [mini-batches]",
          in_range(0, 1 << 16)),
      opt(&C::train, &T::seed, "train.seed", "seed of weights, draws, masks and dropout"),
      opt(&C::train, &T::precision, "train.precision",
          "type of the products; auto: bf16 where the device multiplies it fast",
          one_of({"auto", "fp32", "bf16", "fp64"})),
      opt(&C::train, &T::init_from, "train.init_from",
          "checkpoint or run whose weights to start from, with a fresh optimizer", any_text()),
      opt(&C::train, &T::deterministic, "train.deterministic",
          "same bits in every run on CUDA too, at some cost in speed"),
      opt(&C::train, &T::cuda_graphs, "train.cuda_graphs",
          "on a GPU in bf16: replay forward and backward as CUDA graphs; not run on a GPU yet"),
      opt(&C::train, &T::nonfinite_limit, "train.nonfinite_limit",
          "skipped steps in a row, for a gradient with inf or nan, that end the run [steps]", at_least(1)),

      opt(&C::parallel, &P::generator, "parallel.generator",
          "generators and their optimizer state: whole on every rank, or cut among the ranks",
          one_of({"replicated", "sharded"})),
      opt(&C::parallel, &P::exchange, "parallel.exchange",
          "what ranks send: sums of the adapters' gradients, all pairs' own, or the dense gradient; auto: the fewest "
          "bytes",
          one_of({"auto", "factors", "gather", "dense"})),
      opt(&C::parallel, &P::backend, "parallel.backend",
          "library that ranks talk by; auto: nccl on GPUs, else mpi, local for one rank",
          one_of({"auto", "nccl", "mpi", "local"})),
      opt(&C::parallel, &P::start_limit_seconds, "parallel.start_limit_seconds",
          "longest start before the watchdog ends the job [s]", at_least(1)),
      opt(&C::parallel, &P::step_limit_seconds, "parallel.step_limit_seconds",
          "longest step before the watchdog ends the job [s]", at_least(1)),
      opt(&C::parallel, &P::checkpoint_limit_seconds, "parallel.checkpoint_limit_seconds",
          "longest checkpoint before the watchdog ends the job [s]", at_least(1)),
      opt(&C::parallel, &P::evaluation_limit_seconds, "parallel.evaluation_limit_seconds",
          "longest evaluation before the watchdog ends the job [s]", at_least(1)),

      opt(&C::eval, &E::pairs, "eval.pairs", "pairs to score; empty: every pair of the corpus that has the split",
          any_text()),
      opt(&C::eval, &E::every, "eval.every", "evaluation during training; 0: never [optimizer steps]", at_least(0)),
      opt(&C::eval, &E::split, "eval.split", "split to score", one_of({"dev", "test"})),
      opt(&C::eval, &E::limit, "eval.limit", "most that is scored of a pair; 0: all [sentences]", at_least(0)),
      opt(&C::eval, &E::batch_tokens, "eval.batch_tokens", "evaluation batch [tokens]", at_least(1)),
      opt(&C::eval, &E::pos_metric, "eval.pos_metric",
          "score of pos: words tagged right, or seqeval's entities (as the original)", one_of({"accuracy", "seqeval"})),
      opt(&C::eval, &E::predictions, "eval.predictions", "also write the predicted labels beside each result"),

      opt(&C::checkpoint, &K::every, "checkpoint.every",
          "distance of checkpoints; 0: one at the end alone [optimizer steps]", at_least(0)),
      opt(&C::checkpoint, &K::keep_last, "checkpoint.keep_last", "newest checkpoints to keep", at_least(1)),
      opt(&C::checkpoint, &K::keep_best, "checkpoint.keep_best",
          "best checkpoints to keep beside them; 0: none is saved for its score", at_least(0)),
      opt(&C::checkpoint, &K::select, "checkpoint.select",
          "pairs whose mean main metric chooses the best; empty: those of eval.pairs", any_text()),

      opt(&C::device, "device", "where tensors live; auto: the GPU if there is one", one_of({"auto", "cpu", "cuda"})),
      opt(&C::kernels, "kernels",
          "kernels that fuse what lies between products on a GPU: LibTorch's operations, or hyperx's own, which have "
          "not "
          "run on a GPU yet",
          one_of({"libtorch", "hyperx"})),
      opt(&C::threads, "threads", "threads a rank; 0: as many as the affinity mask allows", in_range(0, 4096)),
  };
}

}  // namespace

std::string Check::text() const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!words.empty()) return fmt::format("{}", fmt::join(words, " | "));
  if (low != -kInfinity && high != kInfinity) {
    return fmt::format("{}{} to {}{}", low_allowed ? "" : "above ", low, high_allowed ? "" : "below ", high);
  }
  if (low != -kInfinity) return fmt::format("{} {}", low_allowed ? "at least" : "above", low);
  return "";
}

std::string Option::expected() const {
  const std::string rule = check.text();
  if (!check.words.empty()) return "one of " + rule;
  if (is_switch()) return "yes or no";
  if (kind == "text") return "text without #, control characters or blanks around it";
  const std::string article = kind == "integer" ? "an integer" : "a number";
  return rule.empty() ? article + " of 64 bits without a sign" : article + ", " + rule;
}

const std::vector<Option>& options() {
  static const std::vector<Option> table = make_table();
  return table;
}

const Option* find_option(std::string_view key) {
  const auto found =
      std::find_if(options().begin(), options().end(), [&](const Option& each) { return each.key == key; });
  return found == options().end() ? nullptr : &*found;
}

bool is_boolean_word(std::string_view text) {
  bool value = false;
  return read_value(text, value) == Reading::kGood;
}

}  // namespace hyperx::config

namespace hyperx {
namespace {

template <class T>
T positive_flag(const CommandLine& line, const std::string& name, T fallback, const char* expected) {
  if (!line.has_flag(name)) return fallback;
  T value{};
  if (config::read_value(line.flag(name), value) != config::Reading::kGood ||
      !config::satisfies(config::above(0), value))
    throw UserError(ExitCode::kUsage, "--" + name + " '" + line.flag(name) + "': expected " + expected + " above 0");
  return value;
}

}  // namespace

double CommandLine::number_flag(const std::string& name, double fallback) const {
  return positive_flag(*this, name, fallback, "a number");
}

int64_t CommandLine::count_flag(const std::string& name, int64_t fallback) const {
  return positive_flag(*this, name, fallback, "a whole number");
}

bool CommandLine::word_flag(const std::string& name, const std::string& word) const {
  if (!has_flag(name)) return false;
  if (flag(name) != word)
    throw UserError(ExitCode::kUsage, "--" + name + " '" + flag(name) + "': " + word + " is all that it can be");
  return true;
}

}  // namespace hyperx
