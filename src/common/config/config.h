#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/sections.h"

// The options of every run. A member's initialiser is its default; its key, help text and check are in one row of
// run_options.cpp. Methods and tasks have structs and tables of their own (Config::sections).
namespace hyperx {

namespace config {
struct Schema;
enum class Source;
}  // namespace config

struct RunConfig {
  std::string dir;  // run folder
};

struct DataConfig {
  std::string corpus;                   // folder that `prepare` writes
  std::string root;                     // manifest paths are relative to it; empty: the manifest's own folder
  int max_subwords = 256;               // [CLS] and [SEP] included
  std::string overlap = "report";       // report | drop | refuse
  std::string label_position = "auto";  // auto | first | after-blank
  bool train_on_test = false;           // a pair that has only a test split trains on it (and is then never scored)
};

struct ModelConfig {
  std::string encoder;     // folder, or random:FOLDER
  int encoder_layers = 0;  // the first so many; 0: all
  std::string method = "hyperx";
  double dropout = 0.1;
  double attention_dropout = 0.1;
  std::string mlm_decoder = "tied";  // tied | trained
};

struct TrainConfig {
  std::string pairs;  // pair set, e.g. "pos:en,mlm:*"
  int64_t steps = 100000;
  double epochs = 0;         // > 0: replaces steps
  int batch_sentences = 32;  // per pair
  int pairs_per_step = 1;
  int micro_batch_tokens = 0;  // > 0: a rank computes its share in pieces of at most this many tokens
  double learning_rate = 1e-4;
  int64_t warmup_steps = -1;        // -1: 4 % of the steps, resolved when the run begins
  std::string schedule = "linear";  // linear | constant
  double final_learning_rate = 0;   // learning rate at the end of the linear decay (the release: 1e-7)
  double clip_norm = 1.0;           // 0: off
  double weight_decay = 0;
  double temperature = 5;         // 0: uniform
  std::string sampling = "draw";  // draw: one draw per step; epoch: whole epochs, laid out as in the release
  uint64_t seed = 1;
  std::string precision = "auto";  // auto | fp32 | bf16 | fp64 (tests)
  std::string init_from;           // checkpoint whose weights are the starting point
  bool deterministic = false;
  bool cuda_graphs = false;  // forward and backward as CUDA graphs
  int nonfinite_limit = 10;  // the run ends after this many non-finite steps in a row
};

struct ParallelConfig {
  std::string generator = "replicated";  // replicated | sharded
  std::string exchange = "auto";         // auto | factors | gather | dense
  std::string backend = "auto";          // auto | nccl | mpi | local
  int start_limit_seconds = 600;         // watchdog limits of the sections, in seconds
  int step_limit_seconds = 0;            // 0: 20 times what steps took, at least 60 s
  int checkpoint_limit_seconds = 420;
  int evaluation_limit_seconds = 1800;
};

struct EvalConfig {
  std::string pairs;          // pair set; empty: every pair of the corpus that has the split
  int64_t every = 5000;       // steps; 0: never during training
  std::string split = "dev";  // dev | test
  int64_t limit = 0;          // sentences per pair; 0: all
  int batch_tokens = 4096;    // tokens of one evaluation batch
  bool predictions = false;   // also write the predicted files
};

struct CheckpointConfig {
  int64_t every = 5000;  // steps
  int keep_last = 2;
  int keep_best = 1;
  std::string select;  // pair set whose mean main metric selects the best checkpoint; empty: eval.pairs
};

struct Config {
  RunConfig run;
  DataConfig data;
  ModelConfig model;
  TrainConfig train;
  ParallelConfig parallel;
  EvalConfig eval;
  CheckpointConfig checkpoint;
  std::string device = "auto";       // auto | cpu | cuda
  std::string kernels = "libtorch";  // libtorch | hyperx: operations between matrix products on a GPU
  int threads = 0;                   // 0: as many as the affinity mask allows
  Sections sections;                 // options of methods and tasks
};

// Where a value came from: "default", "file quick.conf:3" or "command line".
struct ConfigOrigin {
  std::string key, value, origin;
};

// The arguments after a command's name, parsed. A command declares what it takes; anything else is an error with a
// suggestion.
struct CommandLine {
  std::string command;                 // "train"
  std::vector<std::string> arguments;  // everything after it, unchanged
  Config config;
  std::vector<std::string> objects;                        // positional arguments: those without a leading --
  std::vector<std::pair<std::string, std::string>> flags;  // the command's own flags, such as --resume auto
  std::vector<ConfigOrigin> origins;                       // of every key that the command takes
  bool help = false;
  bool dump_config = false;
  bool dump_origin = false;

  bool has_flag(const std::string& name) const;
  std::string flag(const std::string& name, const std::string& fallback = "") const;
  double number_flag(const std::string& name, double fallback) const;   // UserError (64): not a number above 0
  int64_t count_flag(const std::string& name, int64_t fallback) const;  // UserError (64): not a whole number above 0
  // Whether a flag that takes only the value `word` is given, such as --resume auto. UserError (64): given with another
  // value.
  bool word_flag(const std::string& name, const std::string& word) const;
  config::Source source(std::string_view key) const;
  bool given(const std::string& key) const;  // on the command line or in a file, whatever the value
};

// A flag that belongs to one command, such as --task of `predict`.
struct FlagSpec {
  std::string name, value_name, help;  // value_name empty: a switch without a value
};

// What a command accepts.
struct CommandSpec {
  std::string name;                       // "train"; empty: the whole program is one command
  std::string usage;                      // "hyperx predict RUN|CHECKPOINT --task T --language L [FILE]..."
  std::string summary;                    // one line
  std::string help;                       // further paragraphs, with an example
  std::vector<std::string> key_prefixes;  // "train.", "model.", "threads": the keys of the table that it takes
  std::vector<FlagSpec> flags;
  std::string program = "hyperx";
  std::string title() const { return name.empty() ? program : program + " " + name; }
};

// Precedence: command line > config files (later ones win) > defaults. UserError (64 for the command line, 78 for a
// file) for a key that is unknown, repeated or not the command's, and for a value out of range; it names key, value,
// file and line, and the nearest known key. Values are written --KEY VALUE or --KEY=VALUE; a yes-or-no key needs no
// value; every argument after a bare -- is positional.
CommandLine parse_command_line(const config::Schema& schema, const CommandSpec& spec,
                               const std::vector<std::string>& arguments);

// What --dump-config prints: the keys that the command takes, as a config file. With --origin, a comment on each line
// says where its value came from.
std::string dump_config(const CommandLine& line);

// The whole configuration as a file that parse_config_text reads back to the same values. Checkpoints and run folders
// hold it.
std::string dump_config(const config::Schema& schema, const Config& config);
// Also reads what earlier versions wrote: old key names count as the new ones. A removed option is ignored, or refused
// (78) where its value asks for something that this version cannot do.
enum class Removed { kPassOver, kRefuse };
Config parse_config_text(const config::Schema& schema, const std::string& text, const std::string& name_of_source,
                         Removed removed);

// The word of `known` that was most likely meant: "--steps" for train.steps, "trian" for train. Empty when none is
// close.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

std::string command_help(const config::Schema& schema, const CommandSpec& spec);
std::string options_markdown(const config::Schema& schema);  // configs/OPTIONS.md

}  // namespace hyperx
