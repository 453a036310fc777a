#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "app/program.h"
#include "app/tensor/model_setup.h"
#include "app/tensor/rank_setup.h"
#include "bench/bench.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/version.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/run/process_id.h"

namespace hyperx {
namespace {

constexpr const char* kProgram = "hyperx-bench";

struct Part {
  const char* name;
  void (*run)(bench::Bench&);
};

constexpr Part kParts[] = {
    {"machine", bench::bench_machine},     {"start", bench::bench_start},
    {"generator", bench::bench_generator}, {"kernels", bench::bench_kernels},
    {"step", bench::bench_step},           {"checkpoint", bench::bench_checkpoint},
    {"data", bench::bench_data},           {"evaluation", bench::bench_evaluation},
};

double process_age_seconds() {
  return clock_seconds(CLOCK_BOOTTIME) -
         static_cast<double>(train::ProcessId::self().start_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void check_names(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Part& part : kParts) known.emplace_back(part.name);
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw UserError(ExitCode::kUsage, fmt::format("there is no part '{}', only {}", name, fmt::join(known, ", ")));
}

// A part that fails does not take the others' figures with it; with several ranks it does, as they wait for each other.
void run_part(const Part& part, bench::Bench& bench) {
  if (bench.communicator.size() > 1) return part.run(bench);
  try {
    part.run(bench);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& error) {
    bench.report.fail(part.name, error.what());
  }
}

int run_parts(const CommandLine& line, comm::MpiSession& session) {
  const double entered = process_age_seconds();
  Config config = line.config;
  const at::Device device = comm::choose_device(config.device, session);
  choose_kernels(config, device, session.rank());
  const int threads = set_threads(config, session);
  const auto communicator = comm::make_communicator(config.parallel, device, session);
  config.train.precision = train::agreed_precision(config.train.precision, "", device, *communicator);
  bench::Bench bench{line,
                     config,
                     *communicator,
                     session,
                     entered,
                     device,
                     threads,
                     line.count_flag("repeat", 5),
                     line.count_flag("warmup", 2),
                     {},
                     {}};
  for (const Part& part : kParts) {
    const bool wanted =
        line.objects.empty() || std::find(line.objects.begin(), line.objects.end(), part.name) != line.objects.end();
    if (wanted) run_part(part, bench);
  }
  if (communicator->rank() != 0) return 0;
  std::cout << bench.report.table();
  if (line.has_flag("json"))
    write_file_atomically(line.flag("json"), bench.report.json({{"version", std::string(version())},
                                                                {"threads", std::to_string(threads)},
                                                                {"ranks", std::to_string(communicator->size())}}));
  return bench.report.failed() ? static_cast<int>(ExitCode::kBug) : 0;
}

int run_bench(const CommandLine& line) {
  check_names(line.objects);
  return run_under_mpi(kProgram, [&](auto& session, auto&, auto&) { return run_parts(line, session); });
}

CommandSpec bench_spec() {
  CommandSpec spec;
  spec.program = kProgram;
  spec.usage = "hyperx-bench [PART]... [--json FILE] [--KEY VALUE]...";
  spec.summary = "measures this machine at each part of the work, beside its limits";
  spec.help =
      "PART, all where none is named:\n"
      "  machine    products and memory bandwidth: the limits of all other parts\n"
      "  start      from the process's start to the end of the first step, by stage; needs what `step` needs\n"
      "  generator  passes over the hypernetwork: generate, its gradient, Adam\n"
      "  kernels    norms, activations and dropout between the products, by the device's kernels\n"
      "  step       training steps by part; needs data.corpus, model.encoder and train.pairs\n"
      "  checkpoint the pause of a save and the rate of its writing, in run.dir or the current folder\n"
      "  data       a mixture of 21,000 pairs; of data.corpus, where given: opening it, its first batch, making "
      "batches\n"
      "  evaluation scoring pairs of eval.split, forward alone; needs what step needs; eval.limit holds\n"
      "Other programs only slow a run down, so the best of --repeat times counts; ratios within one run are what to\n"
      "compare.\n\n"
      "Example:\n"
      "  hyperx-bench machine generator --threads 2";
  spec.key_prefixes = {"run.", "data.", "model.", "train.", "parallel.", "eval.", "device", "kernels", "threads"};
  spec.flags = {{"json", "FILE", "the same figures for programs"},
                {"repeat", "N", "times a figure is measured; `step` counts twice as many steps (5)"},
                {"warmup", "N", "steps before those that count (2)"},
                {"operations", "", "also LibTorch's operations of the step, one by one"}};
  return spec;
}

}  // namespace
}  // namespace hyperx

int main(int argc, char** argv) {
  using namespace hyperx;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return run_program(kProgram, [&](std::string&) {
    if (arguments != std::vector<std::string>{"--version"}) return run_command({bench_spec(), run_bench}, arguments);
    std::cout << version_text();
    return 0;
  });
}
