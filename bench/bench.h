#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/op_profile.h"
#include "common/config/config.h"
#include "model/comm/communicator.h"
#include "trainer/comm/mpi_session.h"

// `hyperx-bench`: how fast this machine does each part of the work, compared with the limit set by matrix products at
// the best measured rate, or by bytes at the measured bandwidth. Each part is a file here and a row in main.cpp's
// table.
namespace hyperx::bench {

// One measurement. `limit` has the same unit. A rate ("GB/s", "tokens/s", ...) is better when larger, all other units
// ("s", "ms", "us", "MB", "bytes", ...) when smaller.
struct Measure {
  std::string part, what;
  double value = 0;
  std::string unit;
  std::optional<double> limit;
  std::string note;
  // Share of the limit, 1 = reached; 0 without a limit.
  double share() const;
};

class Report {
 public:
  void add(Measure measure);
  void skip(const std::string& part, const std::string& reason);
  void fail(const std::string& part, const std::string& reason);
  bool failed() const { return !failed_.empty(); }
  std::string table() const;
  std::string json(const std::vector<std::pair<std::string, std::string>>& facts) const;

 private:
  std::vector<Measure> measures_;
  std::vector<std::pair<std::string, std::string>> skipped_, failed_;
};

// Rates of the device, or of this machine's processor with the threads in use. Each is the best of several
// measurements, because other programs can only slow one down.
struct Machine {
  double product_fp32 = 0, product_bf16 = 0;  // operations/s of the machine part's product
  double read = 0, triad = 0;                 // bytes/s over 300 MB: one stream read; two read and one written
  double product(const std::string& precision) const { return precision == "bf16" ? product_bf16 : product_fp32; }
};

struct Bench {
  const CommandLine& line;
  const Config& config;
  comm::Communicator& communicator;
  const comm::MpiSession& session;
  double entered = 0;  // seconds from the start of the process to that of the command
  at::Device device = at::kCPU;
  int threads = 1;
  int64_t repeats = 5;  // --repeat
  int64_t warmup = 2;   // --warmup: steps before those that count
  Machine machine;
  Report report;

  const Machine& rates();  // measures them on first use
  // Best time in seconds of `repeats` calls, after one uncounted call; on a GPU until the device is done.
  double best_seconds(const std::function<void()>& work) const;
  // The same, but on a GPU without the time of launching: for single operations.
  double best_kernel_seconds(const std::function<void()>& work) const;
  void synchronize() const;  // waits for a GPU

 private:
  double best_of(const std::function<double()>& measure) const;
};

// Whether --data.corpus, --model.encoder and --train.pairs are given; reports what is missing for `part`.
bool has_training_data(Bench& bench, const std::string& part);

// Adds rows "PART by part": where the time of one of `passes` passes went. Time that belongs neither to an operation
// nor to `waited` (for data) is "between operations". With --operations, also each operation that takes 0.2 % or more.
struct ProfiledTime {
  double seconds = 0, waited = 0, passes = 1;
  double product_limit = 0;  // seconds of one pass's matrix products at the best rate
};
void report_profile(Bench& bench, const std::string& part, const OpProfile& profile, const ProfiledTime& time);

// Each adds its measurements to the report, or calls skip() with what it would need.
void bench_machine(Bench& bench);
void bench_start(Bench& bench);
void bench_checkpoint(Bench& bench);
void bench_generator(Bench& bench);
void bench_kernels(Bench& bench);
void bench_step(Bench& bench);
void bench_data(Bench& bench);
void bench_evaluation(Bench& bench);

}  // namespace hyperx::bench
