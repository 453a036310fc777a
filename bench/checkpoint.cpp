#include "trainer/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "bench/bench.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/parameters/parameters.h"
#include "trainer/checkpoint/checkpoint_writer.h"

namespace hyperx::bench {
namespace {

constexpr int64_t kHidden = 768;  // of BERT's size, whatever encoder is given
constexpr int64_t kPlainBlock = 4 << 20;

// A temporary folder, removed with its contents.
struct Folder {
  explicit Folder(const std::string& parent)
      : path((parent.empty() ? "." : parent) + "/bench-checkpoint." + std::to_string(::getpid()) + ".tmp") {
    make_folders(path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string path;
};

// Time in seconds of what `dd bs=4M conv=fsync` does.
double plain_write_seconds(const std::string& path, const at::Tensor& bytes) {
  const Clock::time_point begin = Clock::now();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) throw SystemError(path + ": cannot be created: " + errno_text(), ExitCode::kCannotCreate);
  const char* const data = static_cast<const char*>(bytes.const_data_ptr());
  const auto total = static_cast<int64_t>(bytes.nbytes());
  bool good = true;
  for (int64_t at = 0; good && at < total;) {
    const ssize_t written = ::write(file, data + at, static_cast<size_t>(std::min(kPlainBlock, total - at)));
    good = written > 0;
    at += written;
  }
  good = good && ::fsync(file) == 0;
  const std::string reason = good ? "" : errno_text();
  ::close(file);
  const double seconds = seconds_since(begin);
  ::unlink(path.c_str());
  if (!good) throw SystemError(path + ": cannot be written: " + reason);
  return seconds;
}

train::TensorRef ref(const std::string& name, const at::Tensor& tensor) {
  return {name, h5::Type::kFloat32, tensor.sizes().vec(), tensor.const_data_ptr()};
}

}  // namespace

void bench_checkpoint(Bench& bench) {
  if (bench.communicator.rank() != 0) return;  // as in training, where rank 0 writes
  const at::NoGradGuard no_gradient;
  const auto& sizes = bench.config.sections.get<model::HyperXOptions>();
  const int64_t adapter = sizes.adapter_dim, projected = sizes.projected_dim;
  const int64_t values = 2 * adapter * kHidden + adapter + kHidden;  // of one layer's adapter
  const at::Tensor state = model::normal_tensor({3, values, projected}, 1.0, 1, "bench", at::kFloat);
  train::CheckpointContent content;
  content.model = {ref("w", state[0])};
  content.optimizer = {ref("m/w", state[1]), ref("v/w", state[2])};
  content.model_info = content.train_state = nlohmann::json::object();
  const auto bytes = static_cast<double>(state.nbytes());

  const at::Tensor copy = at::zeros_like(state);
  const Folder folder(bench.config.run.dir);
  train::CheckpointWriter writer({folder.path, 1, 0, bench.threads, static_cast<int64_t>(state.nbytes())});
  writer.wait();  // for its memory, which training's first steps leave it time to allocate
  double first_pause = 0, pause = 0, copy_seconds = 0, write_seconds = 0, plain_seconds = 0;
  // Each save is timed together with a plain copy and a plain write, because the speed of memory and disks varies.
  for (int64_t save = 0; save <= bench.repeats; ++save) {
    content.step = save;
    const double this_pause = writer.submit(content).seconds;
    writer.wait();
    if (writer.failure()) throw SystemError("the checkpoint could not be written: " + *writer.failure());
    const double this_write = writer.last_write_seconds();
    const double this_plain = plain_write_seconds(folder.path + "/plain", state);
    const Clock::time_point begin = Clock::now();
    copy.copy_(state);
    const double this_copy = seconds_since(begin);
    if (save == 0) first_pause = this_pause;
    if (save <= 1 || this_pause < pause) pause = this_pause;
    if (save == 0 || this_copy < copy_seconds) copy_seconds = this_copy;
    if (save == 0 || this_write < write_seconds) write_seconds = this_write;
    if (save == 0 || this_plain < plain_seconds) plain_seconds = this_plain;
  }
  const std::string size = fmt::format("{:.0f} MB", bytes / 1e6);
  bench.report.add({"checkpoint", "pause of the first save", 1e3 * first_pause, "ms", 1e3 * copy_seconds, size});
  bench.report.add({"checkpoint", "pause", 1e3 * pause, "ms", 1e3 * copy_seconds, "limit: a copy in memory"});
  bench.report.add({"checkpoint", "writing", bytes / write_seconds / 1e6, "MB/s", bytes / plain_seconds / 1e6,
                    "limit: plain write and fsync"});
}

}  // namespace hyperx::bench
