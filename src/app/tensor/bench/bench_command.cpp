#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "app/tensor/bench/bench.h"
#include "app/tensor/model_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/version.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/run/process_id.h"

namespace hyperx {
namespace {

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
      throw UserError(ExitCode::kUsage,
                      fmt::format("bench has no part '{}'; there are {}", name, fmt::join(known, ", ")));
}

}  // namespace

int run_bench(const CommandLine& line, comm::MpiSession& session, comm::RankProgress&) {
  const double entered = process_age_seconds();
  check_names(line.objects);
  Config config = line.config;
  const at::Device device = comm::choose_device(config.device, session);
  choose_kernels(config, device, session.rank());
  const int threads = set_threads(config, session);
  const auto communicator = comm::make_communicator(config.parallel, device, session);
  config.train.precision = train::agreed_precision(config.train.precision, "", device, *communicator);
  bench::Bench bench{line, config, *communicator, session, entered, device, threads, line.count_flag("repeat", 5),
                     {},   {}};
  for (const Part& part : kParts) {
    const bool wanted =
        line.objects.empty() || std::find(line.objects.begin(), line.objects.end(), part.name) != line.objects.end();
    if (wanted) part.run(bench);
  }
  if (communicator->rank() != 0) return 0;
  std::cout << bench.report.table();
  if (line.has_flag("json"))
    write_file_atomically(line.flag("json"), bench.report.json({{"version", std::string(version())},
                                                                {"threads", std::to_string(threads)},
                                                                {"ranks", std::to_string(communicator->size())}}));
  return 0;
}

}  // namespace hyperx
