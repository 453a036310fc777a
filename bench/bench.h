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

// `hyperx-bench`: what this machine does at each part of the work, beside the limit that products at the best measured
// rate, or bytes at the measured bandwidth, would set. A part is a file here and a row in main.cpp's table.
namespace hyperx::bench {

// One figure. `limit` is in the same unit; a rate ("GB/s", "tokens/s", ...) is better when larger, all else ("s", "ms",
// "us", "MB", "bytes", ...) when smaller.
struct Measure {
  std::string part, what;
  double value = 0;
  std::string unit;
  std::optional<double> limit;
  std::string note;
  // Of the limit, 1 = reached; 0 where there is none.
  double share() const;
};

class Report {
 public:
  void add(Measure measure);
  void skip(const std::string& part, const std::string& reason);
  std::string table() const;
  std::string json(const std::vector<std::pair<std::string, std::string>>& facts) const;

 private:
  std::vector<Measure> measures_;
  std::vector<std::pair<std::string, std::string>> skipped_;
};

// Rates of the device, or of this machine's processor with the threads in use, measured once (best of several, as other
// programs only slow a run).
struct Machine {
  double product_fp32 = 0, product_bf16 = 0;  // operations/s of [1024, 768] x [768, 3072]
  double read = 0, triad = 0;                 // bytes/s over 300 MB: one stream read; two read and one written
  double product(const std::string& precision) const { return precision == "bf16" ? product_bf16 : product_fp32; }
};

struct Bench {
  const CommandLine& line;
  const Config& config;
  comm::Communicator& communicator;
  const comm::MpiSession& session;
  double entered = 0;  // seconds from the process's start to the command's
  at::Device device = at::kCPU;
  int threads = 1;
  int64_t repeats = 5;  // --repeat
  Machine machine;
  Report report;

  const Machine& rates();  // measures them when first asked for
  // Best time in seconds of `repeats` calls, after one that is not counted; on a GPU until the device is done.
  double best_seconds(const std::function<void()>& work) const;
  void synchronize() const;  // waits for a GPU
};

// Whether --data.corpus, --model.encoder and --train.pairs are given; says in the report what is missing for `part`.
bool has_training_data(Bench& bench, const std::string& part);

// Rows "PART by part": where the seconds of `passes` passes went, for one of them; what neither an operation nor
// `waited` (for data) accounts for is between operations. With --operations each operation that takes 0.2 % and more.
struct ProfiledTime {
  double seconds = 0, waited = 0, passes = 1;
  double product_limit = 0;  // seconds of one pass's products at the best rate
};
void report_profile(Bench& bench, const std::string& part, const OpProfile& profile, const ProfiledTime& time);

// Each adds its figures to the report, or says with skip() what it would need.
void bench_machine(Bench& bench);
void bench_start(Bench& bench);
void bench_checkpoint(Bench& bench);
void bench_generator(Bench& bench);
void bench_kernels(Bench& bench);
void bench_step(Bench& bench);
void bench_data(Bench& bench);
void bench_evaluation(Bench& bench);

}  // namespace hyperx::bench
