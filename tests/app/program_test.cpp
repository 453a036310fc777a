#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "tests/support/folder.h"

namespace {

using hyperx::read_file;

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;
const std::string kEncoder = "random:" HYPERX_SOURCE_DIR "/examples/encoder";
using Arguments = std::vector<std::string>;

struct Outcome {
  int code = -1;  // exit code; -1: ended by a signal
  int signal = 0;
  std::string output, errors;
};

class ProgramTest : public testing::Test {
 protected:
  // Runs `program` with its standard output in the file `output`, or in the descriptor `output_descriptor`.
  Outcome run_program(const std::string& program, const Arguments& arguments, const std::string& output = "",
                      int output_descriptor = -1) const {
    const fs::path output_path = output.empty() ? folder_ / "output" : fs::path(output);
    const fs::path error_path = folder_ / "errors";
    const pid_t child = fork();
    if (child == 0) {
      const int out =
          output_descriptor >= 0 ? output_descriptor : open(output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int err = open(error_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      std::vector<char*> argv = {const_cast<char*>(program.c_str())};
      for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
      argv.push_back(nullptr);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    Outcome outcome;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (output.empty() && output_descriptor < 0) outcome.output = read_file(output_path);
    outcome.errors = read_file(error_path);
    return outcome;
  }
  Outcome run(const Arguments& arguments) const { return run_program(HYPERX_PROGRAM, arguments); }

  // A copy of the program in a folder where the tensor library is `library`; empty: where there is none.
  std::string program_beside(const std::string& library) const {
    fs::create_directories(folder_ / "bin");
    fs::create_directories(folder_ / "lib");
    fs::copy_file(HYPERX_PROGRAM, folder_ / "bin/hyperx", fs::copy_options::overwrite_existing);
    if (!library.empty()) {
      fs::copy_file(library, folder_ / "lib/libhyperx_tensor.so", fs::copy_options::overwrite_existing);
    }
    setenv("LD_LIBRARY_PATH", HYPERX_LIBRARIES, 1);
    return folder_ / "bin/hyperx";
  }

  hyperx::test::TemporaryFolder scratch_;
  fs::path folder_ = scratch_.path();
};

Arguments command_names(const std::string& help) {
  Arguments names;
  std::istringstream lines(help.substr(help.find("Commands:\n") + 10));
  for (std::string line; std::getline(lines, line) && !line.empty();)
    names.push_back(line.substr(2, line.find(' ', 2) - 2));
  return names;
}

TEST_F(ProgramTest, EveryCommandHasItsHelp) {
  const Outcome all = run({"--help"});
  EXPECT_EQ(all.code, 0);
  const Arguments names = command_names(all.output);
  for (const char* name : {"train", "evaluate", "predict", "options"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
  for (const std::string& name : names) {
    const Outcome help = run({name, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_THAT(help.errors, IsEmpty()) << name;
    EXPECT_THAT(help.output, StartsWith("hyperx " + name + ": "));
    EXPECT_THAT(help.output, HasSubstr("\nUsage: hyperx " + name));
    EXPECT_THAT(help.output, testing::ContainsRegex("\n  (.*[ |])?hyperx " + name)) << name << " shows no example";
    EXPECT_THAT(help.output, HasSubstr("--help"));
    EXPECT_EQ(run({"help", name}).output, help.output);
    EXPECT_EQ(run({name, "-h"}).output, help.output);
  }
}

TEST_F(ProgramTest, VersionNamesWhatItWasBuiltWith) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.output, StartsWith("hyperx 0."));
  for (const char* fact : {"revision ", "compiler ", "build type ", "LibTorch ", "MPI ", "CUDA ", "NCCL ",
                           "GPU kernels ", "HDF5 ", "Boost ", "utf8proc ", "this CPU "}) {
    EXPECT_THAT(version.output, testing::ContainsRegex("\n" + std::string(fact) + " *[^ \n]"));
  }
}

TEST_F(ProgramTest, HelpAndEstimateLoadNoLibTorch) {
  const fs::path loaded = folder_ / "loaded";
  setenv("LD_DEBUG", "files", 1);  // the loader lists what it loads in loaded.PID
  setenv("LD_DEBUG_OUTPUT", loaded.c_str(), 1);
  const int code = run({"train", "--help"}).code;
  const int estimate_code = run({"estimate", "--model.encoder", kEncoder, "--gpu", "h100"}).code;
  unsetenv("LD_DEBUG");
  unsetenv("LD_DEBUG_OUTPUT");
  EXPECT_EQ(code, 0);
  EXPECT_EQ(estimate_code, 0);
  std::string libraries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (entry.path().stem() == "loaded") libraries += read_file(entry.path());
  }
  EXPECT_THAT(libraries, HasSubstr("libhdf5"));
  EXPECT_THAT(libraries, Not(HasSubstr("libtorch")));
  EXPECT_THAT(libraries, Not(HasSubstr("libmpi")));
}

struct Mistake {
  Arguments arguments;
  int code;
  std::string message;
};

TEST_F(ProgramTest, MistakesGetOneOrTwoLinesAndTheirExitCode) {
  std::ofstream(folder_ / "bad.conf") << "# nothing here\ntrain.stpes = 5\n";
  const std::string bad = folder_ / "bad.conf";
  const std::vector<Mistake> cases = {
      {{"trian"}, 64, "hyperx: unknown command 'trian'; did you mean 'train'?"},
      {{"zzzzzz"}, 64, "hyperx: unknown command 'zzzzzz'; `hyperx --help` lists them"},
      {{"bench", "machine"}, 64, "hyperx: the benchmarks are a program of their own: hyperx-bench"},
      {{"help", "evalute"}, 64, "hyperx: unknown command 'evalute'; did you mean 'evaluate'?"},
      {{"train", "--train.stpes", "5"}, 64, "hyperx train: unknown option --train.stpes; did you mean --train.steps?"},
      {{"options", "--train.steps", "5"}, 64, "hyperx options: --train.steps is no key of `hyperx options`"},
      {{"train", "--config", bad},
       78,
       "hyperx train: " + bad + ":2: unknown key train.stpes; did you mean train.steps?"},
      {{"train", "--config", bad + "x"}, 66, "hyperx train: "},
      {{"estimate"}, 64, "hyperx estimate: --model.encoder FOLDER is missing"},
      {{"estimate", "--model.encoder", kEncoder, "--gpu", "h20"},
       64,
       "hyperx estimate: unknown GPU 'h20'; did you mean 'h200'?"},
      {{"estimate", "--model.encoder", kEncoder, "--gpu", "a40", "--network", "ib-ndr40"},
       64,
       "hyperx estimate: unknown link 'ib-ndr40'; did you mean 'ib-ndr400'?"},
      {{"estimate", "--model.encoder", kEncoder, "--ranks", "8,x"},
       64,
       "hyperx estimate: --ranks '8,x': numbers from 1 on"},
      {{"estimate", "--model.encoder", kEncoder, "--machine", bad}, 65, "hyperx estimate: " + bad + ": is not JSON"},
      {{"import", "e5.bin"}, 64, "hyperx import: the first word says what to import: encoder"},
      {{"import", "encoder"}, 64, "hyperx import: one file of weights is needed, not 0"},
      {{"import", "encoder", "e5.bin"}, 64, "hyperx import: --tokenizer FILE is missing"},
      {{"import", "encoder", "e5.bin", "--tokenizer", "t", "--output", "o", "--type", "int8"},
       64,
       "hyperx import: --type takes bf16 or fp32, not 'int8'"},
      {{"train", "--model.method", "xyz"}, 64, "hyperx train: --model.method = 'xyz': expected one of hyperx"},
  };
  for (const Mistake& each : cases) {
    const Outcome outcome = run(each.arguments);
    EXPECT_EQ(outcome.code, each.code) << each.message;
    EXPECT_THAT(outcome.errors, StartsWith(each.message));
    EXPECT_LE(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 2) << outcome.errors;
    EXPECT_THAT(outcome.output, IsEmpty());
  }
  const Outcome nothing = run({});
  EXPECT_EQ(nothing.code, 64);
  EXPECT_THAT(nothing.errors, HasSubstr("Usage: hyperx COMMAND"));
}

TEST_F(ProgramTest, AMessageQuotesOnlyTheBeginningOfALongValue) {
  std::ofstream(folder_ / "long.conf") << "train.steps = " + std::string(1 << 20, '7') + "\n";
  std::ofstream(folder_ / "long.tsv") << "task\tlanguage\tsplit\tformat\tpath\nner\ten\t" + std::string(1 << 19, 's') +
                                             "\ttagged\ta.tsv\n";
  const std::vector<std::pair<Arguments, int>> cases = {
      {{"train", "--config", folder_ / "long.conf"}, 78},
      {{"prepare", folder_ / "long.tsv", "--data.corpus", folder_ / "c", "--model.encoder", kEncoder.substr(7)}, 65},
      {{"train", "--model.method", std::string(100'000, 'm')}, 64},
  };
  for (const auto& [arguments, code] : cases) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code);
    EXPECT_LT(outcome.errors.size(), 1000U) << outcome.errors.substr(0, 2000);
    EXPECT_THAT(outcome.errors, HasSubstr("..."));
  }
}

TEST_F(ProgramTest, EstimateTellsEveryNumberOfRanksAsTableAndJson) {
  const std::string path = folder_ / "estimate.json";
  const Outcome outcome = run({"estimate", "--model.encoder", kEncoder, "--gpu", "h100", "--json", path});
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output,
              HasSubstr("times are limits, never measured: a step takes at least what products take at h100's"));
  EXPECT_THAT(outcome.output, testing::ContainsRegex("\n *1024 +128 "));
  const nlohmann::json json = nlohmann::json::parse(read_file(path));
  EXPECT_EQ(json.at("times_are_limits"), true);
  EXPECT_EQ(json.at("rows").size(), 8);
  EXPECT_EQ(json.at("rows")[0].at("ranks"), 8);
  EXPECT_GT(json.at("rows")[0].at("step_seconds"), 0.0);
  EXPECT_EQ(json.at("blocks").at("hypernetwork"), 131584 * 193);  // 2 * 256 * 256 + 256 + 256 rows of 192 and a bias

  const Outcome no_rates = run({"estimate", "--model.encoder", kEncoder, "--ranks", "2", "--json", path});
  EXPECT_EQ(no_rates.code, 0) << no_rates.errors;
  EXPECT_THAT(no_rates.output, HasSubstr("no times without rates"));
  EXPECT_FALSE(nlohmann::json::parse(read_file(path)).at("rows")[0].contains("step_seconds"));
}

TEST_F(ProgramTest, DumpedConfigIsReadBack) {
  const Outcome first =
      run({"train", "--train.seed", "5", "--train.learning_rate", "3e-4", "--run.dir", "a b", "--dump-config"});
  EXPECT_EQ(first.code, 0);
  EXPECT_THAT(first.output, HasSubstr("\ntrain.learning_rate = 0.0003\n"));
  const std::string path = folder_ / "dumped.conf";
  std::ofstream(path) << first.output;
  EXPECT_EQ(run({"train", "--config", path, "--dump-config"}).output, first.output);
  const Outcome origins = run({"train", "--config", path, "--train.seed=6", "--origin"});
  EXPECT_THAT(origins.output, testing::ContainsRegex("\ntrain.seed = 6 *# command line\n"));
  EXPECT_THAT(origins.output, HasSubstr("# file " + path + ":"));
}

TEST_F(ProgramTest, AClosedPipeEndsItQuietlyWhateverTheParentDoesWithTheSignal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const auto former = std::signal(SIGPIPE, SIG_IGN);  // children inherit that, as those of a Python program do
  const Outcome outcome = run_program(HYPERX_PROGRAM, {"options"}, "", ends[1]);
  std::signal(SIGPIPE, former);
  close(ends[1]);
  EXPECT_EQ(outcome.signal, SIGPIPE);
  EXPECT_THAT(outcome.errors, IsEmpty());
}

TEST_F(ProgramTest, AFullDiskBehindStandardOutputIsAnError) {
  const Outcome outcome = run_program(HYPERX_PROGRAM, {"options"}, "/dev/full");
  EXPECT_EQ(outcome.code, 74);
  EXPECT_THAT(outcome.errors, HasSubstr("hyperx options: cannot write to standard output: No space left on device"));
}

TEST_F(ProgramTest, TensorCommandsTellHowToGetAMissingOrBrokenLibrary) {
  const std::string lone_program = program_beside("");
  const Outcome missing = run_program(lone_program, {"train"});
  EXPECT_EQ(missing.code, 66);
  EXPECT_THAT(missing.errors,
              HasSubstr("libhyperx_tensor.so is missing: `train` needs LibTorch and MPI. Run launch/setup"));
  EXPECT_EQ(run_program(lone_program, {"predict", "--help"}).code, 0);

  std::ofstream(folder_ / "text") << "no library";
  const Outcome broken = run_program(program_beside(folder_ / "text"), {"train"});
  EXPECT_EQ(broken.code, 66);
  EXPECT_THAT(broken.errors, HasSubstr("cannot load the tensor library"));

  const Outcome other = run_program(program_beside(std::string(HYPERX_LIBRARIES) + "/libhyperx_common.so"), {"train"});
  EXPECT_EQ(other.code, 66);
  EXPECT_THAT(other.errors, HasSubstr("is of another version of hyperx"));
  unsetenv("LD_LIBRARY_PATH");
}

// A node without the library: rank 0, on another node, knows nothing of it.
TEST_F(ProgramTest, ARankThatCannotStartSaysSo) {
  const std::string lone_program = program_beside("");
  setenv("OMPI_COMM_WORLD_RANK", "5", 1);
  const Outcome outcome = run_program(lone_program, {"train"});
  unsetenv("OMPI_COMM_WORLD_RANK");
  unsetenv("LD_LIBRARY_PATH");
  EXPECT_EQ(outcome.code, 66);
  EXPECT_THAT(outcome.errors, StartsWith("hyperx train: rank 5 on host "));
  EXPECT_THAT(outcome.errors, HasSubstr("libhyperx_tensor.so is missing"));
}

}  // namespace
