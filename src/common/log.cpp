#include "common/log.h"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <mutex>

#include "common/errors.h"
#include "common/line_file.h"
#include "common/short_values.h"

namespace hyperx::log {
namespace {

using spdlog::level::level_enum;

constexpr char kFilePattern[] = "%Y-%m-%dT%H:%M:%S%z %l %v";
constexpr int kPatienceMs = 2000;  // for a busy reader of standard error

// train.log: lines that cannot be written now are written later.
class FileSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FileSink(const std::string& path) : file_(path) {}
  ~FileSink() override {
    try_to_write();
    if (!trouble_.empty())
      std::fprintf(stderr, "error: %s lacks %lld lines: %s\n", file_.path().c_str(),
                   static_cast<long long>(file_.lines_waiting()), trouble_.c_str());
  }
  const std::string& trouble() const { return trouble_; }  // empty: everything is written

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.add({line.data(), line.size()});
    try_to_write();
  }
  void flush_() override {}
  void try_to_write() {
    try {
      file_.flush();
      trouble_.clear();
    } catch (const SystemError& error) {
      trouble_ = error.what();
    }
  }

  LineFile file_;
  std::string trouble_;
};

// Standard error, and train.log once there is a run folder. An output that fails never ends the program: the other one
// says so.
class Outputs {
 public:
  Outputs() { to_error_.set_pattern("%H:%M:%S %^%v%$"); }
  ~Outputs() {
    if (told_) to_file_->warn("{}warning: standard error lacks {} lines", prefix_, lines_lost_);
  }

  void set_rank(int rank, int size) {
    const std::lock_guard lock(mutex_);
    prefix_ = size > 1 ? fmt::format("[{}/{}] ", rank, size) : "";
    to_error_.set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  }

  void add_file(const std::string& path) {
    const std::lock_guard lock(mutex_);
    file_ = std::make_shared<FileSink>(path);
    to_file_ = std::make_unique<spdlog::logger>("file", file_);
    to_file_->set_pattern(kFilePattern);
    tell_of_lost_lines();
  }

  void write(level_enum level, const std::string& text) {
    const std::lock_guard lock(mutex_);
    const std::string line = prefix_ + text;
    write_error(level, line);
    if (!to_file_) return;
    const bool in_trouble = !file_->trouble().empty();
    to_file_->log(level, line);
    if (!in_trouble && !file_->trouble().empty())
      write_error(spdlog::level::warn, "warning: " + file_->trouble() + "; its lines wait until they can be written");
    tell_of_lost_lines();
  }

 private:
  // A line is left out if it cannot be written (a closed pipe, a full disk, a lost terminal), or if nobody reads.
  void write_error(level_enum level, const std::string& line) {
    if (!to_error_.should_log(level)) return;
    pollfd reader{STDERR_FILENO, POLLOUT, 0};
    nobody_reads_ = ::poll(&reader, 1, nobody_reads_ ? 0 : kPatienceMs) == 0;
    if (!nobody_reads_) to_error_.log(level, line);
    if (!nobody_reads_ && std::ferror(stderr) == 0) return;
    std::clearerr(stderr);
    ++lines_lost_;
  }

  void tell_of_lost_lines() {
    if (lines_lost_ == 0 || told_) return;
    told_ = true;
    to_file_->warn("{}warning: standard error cannot be written to: its lines are only here", prefix_);
  }

  std::mutex mutex_;
  spdlog::logger to_error_{"error", std::make_shared<spdlog::sinks::stderr_color_sink_st>()};
  std::shared_ptr<FileSink> file_;
  std::unique_ptr<spdlog::logger> to_file_;
  std::string prefix_;
  bool nobody_reads_ = false;
  int64_t lines_lost_ = 0;
  bool told_ = false;
};

Outputs& outputs() {
  static Outputs instance;
  return instance;
}

}  // namespace

void set_rank(int rank, int size) { outputs().set_rank(rank, size); }

void add_file(const std::string& path) {
  try {
    outputs().add_file(path);
  } catch (const SystemError& error) {
    warning("{}; log lines go to standard error only", error.what());
  }
}

void append_error(const std::string& path, const std::string& text) {
  try {
    spdlog::logger once("once", std::make_shared<FileSink>(path));
    once.set_pattern(kFilePattern);
    once.error("error: " + with_short_values(text));
  } catch (const SystemError&) {  // the folder may be gone: state.json and standard error have it, too
  }
}

void write_info(const std::string& text) { outputs().write(spdlog::level::info, text); }
void write_warning(const std::string& text) {
  outputs().write(spdlog::level::warn, "warning: " + with_short_values(text));
}
void write_error(const std::string& text) { outputs().write(spdlog::level::err, "error: " + with_short_values(text)); }

}  // namespace hyperx::log
