#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>

#include "app/commands.h"
#include "common/errors.h"
#include "data/source/column_flags.h"

// The commands that compute with tensors. LibTorch takes half a second to load, so only their options are here, for
// --help; the code is in a separate library that is loaded when one of them actually runs.
namespace hyperx {
namespace {

constexpr const char* kTensorLibrary = "libhyperx_tensor.so";
constexpr const char* kTensorEntry = "hyperx_run_tensor_command";
using TensorEntry = int (*)(const char* name, const CommandLine* line);

std::filesystem::path tensor_library_path() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw SystemError("cannot tell where this program lies: /proc/self/exe: " + error.message());
  return program.parent_path().parent_path() / "lib" / kTensorLibrary;
}

TensorEntry load_tensor_entry(const std::string& command) {
  const auto path = tensor_library_path();
  if (!std::filesystem::exists(path)) {
    throw UserError(ExitCode::kNoInput,
                    path.string() + " is missing: `" + command +
                        "` needs LibTorch and MPI. Run launch/setup, then build with -DHYPERX_TENSOR=ON.");
  }
  // Global, because LibTorch's own libraries find each other's symbols by name; never closed, because they do not
  // support unloading.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw UserError(ExitCode::kNoInput, std::string("cannot load the tensor library: ") + dlerror() +
                                            ". Where LibTorch was moved, build again with -DHYPERX_LIBTORCH=DIR.");
  }
  void* const entry = dlsym(library, kTensorEntry);
  if (entry == nullptr) {
    throw UserError(ExitCode::kNoInput, path.string() + " is of another version of hyperx (it lacks " + kTensorEntry +
                                            "): install program and libraries together.");
  }
  return reinterpret_cast<TensorEntry>(entry);
}

int run_tensor_command(const CommandLine& line) { return load_tensor_entry(line.command)(line.command.c_str(), &line); }

}  // namespace

Command train_command() {
  CommandSpec spec;
  spec.name = "train";
  spec.usage = "hyperx train --config FILE... [--resume auto|restart] [--KEY VALUE]...";
  spec.summary = "trains a model; alone, under mpirun or under srun";
  spec.help =
      "Settings come from the command line, then the config files (a later one wins), then the defaults. None of\n"
      "them depends on the number of ranks: N ranks train the same model as one.\n"
      "Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP save at the next step and exit with code 75; run the same line again,\n"
      "with --resume auto, to continue. If no checkpoint is whole, that stops with 65; --resume restart starts "
      "over.\n\n"
      "Example:\n"
      "  mpirun -np 2 hyperx train --config configs/quick.conf --run.dir runs/quick --resume auto";
  spec.key_prefixes = {"run.",        "data.corpus", "data.max_subwords", "data.label_position",
                       "model.",      "train.",      "parallel.",         "eval.",
                       "checkpoint.", "device",      "kernels",           "threads"};
  spec.flags = {{"resume", "auto|restart",
                 "auto: start run.dir, or continue from the newest complete checkpoint in it; restart: start over, and "
                 "keep the checkpoints and metrics.jsonl of before under other names"}};
  return {spec, run_tensor_command};
}

Command evaluate_command() {
  CommandSpec spec;
  spec.name = "evaluate";
  spec.usage = "hyperx evaluate RUN|CHECKPOINT [--watch] [--KEY VALUE]...";
  spec.summary = "scores pairs with a trained model; skips pairs that are scored already";
  spec.help =
      "RUN stands for its best checkpoint, or the latest if none is marked best. All ranks share the work. One\n"
      "result file per pair and split is written below the run's results/.\n\n"
      "With --watch, RUN may also be a folder of runs. Every checkpoint is scored, as it appears, until each run is\n"
      "finished (or has given no sign of life for some time) and everything is scored. The trainings are only read.\n\n"
      "Examples:\n"
      "  mpirun -np 2 hyperx evaluate runs/quick --eval.split test --eval.pairs 'pos:*'\n"
      "  hyperx evaluate runs --watch --eval.split both";
  spec.key_prefixes = {"data.corpus",
                       "data.max_subwords",
                       "model.encoder",
                       "train.precision",
                       "train.deterministic",
                       "parallel.",
                       "eval.",
                       "device",
                       "kernels",
                       "threads"};
  spec.flags = {{"force", "", "score again what already has a result file"},
                {"watch", "", "follow a run, or a folder of runs, and score every checkpoint"},
                {"patience", "SECONDS",
                 "with --watch: after so long without a sign of life a run that is not finished counts as ended (600)"},
                {"look-every", "SECONDS",
                 "with --watch: how often it looks for checkpoints (5); more seldom where a look takes long"}};
  return {spec, run_tensor_command};
}

Command predict_command() {
  CommandSpec spec;
  spec.name = "predict";
  spec.usage = "hyperx predict RUN|CHECKPOINT --task TASK --language LANGUAGE [FILE]...";
  spec.summary = "labels CoNLL-U, tagged lines or plain text with a trained model";
  spec.help =
      "Reads the files, or standard input, and writes the same text with the predicted tags to standard output;\n"
      "all other bytes of CoNLL-U and of tagged lines stay as they are.\n\n"
      "Examples:\n"
      "  hyperx predict runs/quick --task ner --language en en.iob2 --word 2 --tag 3 --comment '#'\n"
      "  echo 'The cat sleeps .' | hyperx predict runs/quick --task pos --language en";
  spec.key_prefixes = {"data.max_subwords", "pos.multiword", "model.encoder", "train.precision",
                       "eval.batch_tokens", "device",        "kernels",       "threads"};
  spec.flags = {{"task", "TASK", "pos, ner or dep"},
                {"language", "LANGUAGE", "language of the text; one that the model has learnt"}};
  for (FlagSpec& flag : data::column_flags(true)) spec.flags.push_back(std::move(flag));
  spec.flags.insert(spec.flags.end(),
                    {{"words", "SPLITTER", "how plain text is cut into words: auto, space, basic or chars"},
                     {"output", "FILE", "output file, instead of standard output"}});
  return {spec, run_tensor_command};
}

Command doctor_command() {
  CommandSpec spec;
  spec.name = "doctor";
  spec.usage = "hyperx doctor [FOLDER]";
  spec.summary = "checks ranks, hosts, GPUs, messages and disks before a training";
  spec.help =
      "Start it as you start a training: alone, under mpirun, or by srun in an allocation. FOLDER is the one in which\n"
      "runs will lie; the current folder if none is named. One line per check: ok, warning or wrong, what was found,\n"
      "and what to do. Exits with 0 if nothing is wrong, and with 69 if something is; warnings do not count.\n"
      "The checks of GPUs and NCCL have never run on a GPU.\n\n"
      "Examples:\n"
      "  mpirun -np 4 hyperx doctor runs\n"
      "  srun --mpi=pmix hyperx doctor runs";
  spec.key_prefixes = {"device", "parallel.backend"};
  spec.flags = {{"json", "", "one JSON object instead of lines: the findings, and the facts behind them"},
                {"seconds", "N", "time for measuring messages between ranks; 8 if not given [s]"}};
  return {spec, run_tensor_command};
}

}  // namespace hyperx
