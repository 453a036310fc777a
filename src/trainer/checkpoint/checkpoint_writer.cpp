#include "trainer/checkpoint/checkpoint_writer.h"

#include <sys/statvfs.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint_list.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

constexpr size_t kPageBytes = 4096;
constexpr int64_t kSpareBytes = 1 << 20;  // headers, info, manifest

int64_t bytes_of(const CheckpointContent& content) {
  int64_t bytes = 0;
  for (const TensorRef& tensor : content.model) bytes += tensor.byte_count();
  for (const TensorRef& tensor : content.optimizer) bytes += tensor.byte_count();
  return bytes;
}

struct Copy {
  char* to;
  const char* from;
  int64_t bytes;
};

// One core does not reach the memory bandwidth, so each thread copies its part of every tensor.
void copy_all(const std::vector<Copy>& copies, int threads) {
  const auto copy_part = [&](int part) {
    for (const Copy& copy : copies) {
      const int64_t begin = copy.bytes * part / threads, end = copy.bytes * (part + 1) / threads;
      if (begin < end) std::memcpy(copy.to + begin, copy.from + begin, static_cast<size_t>(end - begin));
    }
  };
  std::vector<std::jthread> helpers;
  for (int part = 1; part < threads; ++part) helpers.emplace_back(copy_part, part);
  copy_part(0);
}

// Fails before gigabytes are written, with both sizes in the message.
void check_space(const std::string& folder, int64_t needed) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) throw SystemError(folder + ": statvfs: " + errno_text());
  const int64_t available = static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
  if (available < needed)
    throw SystemError(fmt::format("{}: the disk has {:.1f} MB left, the checkpoint needs {:.1f} MB", folder,
                                  1e-6 * static_cast<double>(available), 1e-6 * static_cast<double>(needed)));
}

// A checkpoint is worth more than the lines of metrics before it: if they cannot be synced, it is saved all the same.
void sync_first(const std::string& path) {
  try {
    if (!path.empty()) sync_path(path);
  } catch (const SystemError& error) {
    log::warning("{}; a power failure now could lose lines of it", error.what());
  }
}

// Removes what a killed process left: folders that were not committed or only partly deleted, links that were not
// renamed.
void sweep(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    const bool ours = name.starts_with("step-") || name.starts_with("latest.") || name.starts_with("best.");
    if (!name.ends_with(".tmp") || !ours) continue;
    log::info("removed {}: left unfinished by an earlier process", name);
    remove_whole(folder + "/" + name);  // `prune` may still be removing it
  }
}

}  // namespace

struct CheckpointWriter::Job {
  CheckpointContent content;  // its tensors are views of buffer_
};

CheckpointWriter::CheckpointWriter(CheckpointWriterOptions options) : options_(std::move(options)) {
  make_folders(options_.folder);
  sweep(options_.folder);
  reserving_ = options_.reserved_bytes > 0;
  // The main thread handles signals at its step boundary, so this thread must not receive them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    reserve();
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

CheckpointPause CheckpointWriter::submit(const CheckpointContent& content) {
  const Clock::time_point start = Clock::now();
  wait();
  CheckpointPause pause;
  pause.waited_seconds = seconds_since(start);
  pause.bytes = bytes_of(content);
  if (pause.bytes > buffer_bytes_) {
    buffer_.reset();
    buffer_ = std::make_unique_for_overwrite<char[]>(static_cast<size_t>(pause.bytes));
    buffer_bytes_ = pause.bytes;
  }
  auto job = std::make_unique<Job>(Job{content});
  std::vector<Copy> copies;
  char* place = buffer_.get();
  for (std::vector<TensorRef>* tensors : {&job->content.model, &job->content.optimizer})
    for (TensorRef& tensor : *tensors) {
      copies.push_back({place, static_cast<const char*>(tensor.data), tensor.byte_count()});
      tensor.data = place;
      place += tensor.byte_count();
    }
  copy_all(copies, options_.copy_threads);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    job_ = std::move(job);
  }
  changed_.notify_all();
  pause.seconds = seconds_since(start);
  return pause;
}

void CheckpointWriter::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return job_ == nullptr && !reserving_; });
}

std::optional<std::string> CheckpointWriter::failure() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

int CheckpointWriter::failures() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failures_;
}

std::optional<int64_t> CheckpointWriter::last_saved() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_saved_;
}

double CheckpointWriter::last_write_seconds() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_write_seconds_;
}

void CheckpointWriter::reserve() {
  if (options_.reserved_bytes == 0) return;
  const auto bytes = static_cast<size_t>(options_.reserved_bytes);
  std::unique_ptr<char[]> buffer(new (std::nothrow) char[bytes]);  // null: the first save will report it
  for (size_t at = 0; buffer && at < bytes; at += kPageBytes) buffer[at] = 0;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (buffer) {
    buffer_ = std::move(buffer);
    buffer_bytes_ = options_.reserved_bytes;
  }
  reserving_ = false;
  changed_.notify_all();
}

void CheckpointWriter::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || job_ != nullptr; });
    if (job_ == nullptr) return;
    lock.unlock();  // no other thread changes job_ until it is null again
    const Clock::time_point start = Clock::now();
    std::optional<std::string> failure;
    double seconds = 0;
    try {
      save(*job_);
      seconds = seconds_since(start);
      check_lock();
      tidy_up(job_->content.good_before);
    } catch (const LostLock& error) {  // training stops at its next step
      failure = error.what();
    } catch (const std::exception& error) {
      failure = error.what();
      log::warning("checkpoint of step {} not saved, training continues: {}", job_->content.step, *failure);
    }
    lock.lock();
    if (failure) {
      ++failures_;
    } else {
      last_saved_ = job_->content.step;
      last_write_seconds_ = seconds;
    }
    failure_ = failure;
    job_.reset();
    changed_.notify_all();
  }
}

void CheckpointWriter::check_lock() const {
  if (options_.lock != nullptr) options_.lock->check();
}

void CheckpointWriter::save(const Job& job) {
  const std::string name = checkpoint_name(job.content.step);
  const std::string final_folder = options_.folder + "/" + name, folder = final_folder + ".tmp";
  check_lock();
  if (options_.keep_last <= 1 && job.content.good_before == job.content.step)
    tidy_up(0);  // the newest one here is good, so the one before it need not stay
  sync_first(job.content.synced_first);
  try {
    check_space(options_.folder, bytes_of(job.content) + kSpareBytes);
    fs::remove_all(folder);
    make_folders(folder);
    const auto files = write_checkpoint_files(folder, job.content);
    check_lock();
    commit_checkpoint(folder, final_folder, job.content, files);
  } catch (const LostLock&) {  // the folder may belong to the other process by now
    throw;
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
}

void CheckpointWriter::tidy_up(int64_t good_before) const {
  try {
    name_checkpoints(options_.folder, options_.keep_best);
    prune_checkpoints(options_.folder, options_.keep_last, options_.keep_best, good_before);
  } catch (const std::exception& error) {
    log::warning("{}: older checkpoints could not be tidied up: {}", options_.folder, error.what());
  }
}

void CheckpointWriter::prune() {
  check_lock();
  tidy_up(0);
}

}  // namespace hyperx::train
