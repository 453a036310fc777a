#include "trainer/run/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <random>

#include "common/digest.h"
#include "common/json.h"
#include "common/log.h"

namespace hyperx::train {

namespace {

using std::chrono::milliseconds;

constexpr int kLooksPerTouch = 5;
constexpr int kSignsOfLife = 3;  // one change of each of the two files may be an old one that is seen late
constexpr int kReadOnly = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;  // never through a link, never hangs

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string text_of(const nlohmann::json& object) {  // a name may hold bytes that are not UTF-8
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string random_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

double seconds(milliseconds time) { return std::chrono::duration<double>(time).count(); }

std::string name_of(const ProcessId& process) {
  return process.pid > 0 ? process.text() : "a process whose name cannot be read";
}

std::string folder_of(const std::string& lock) { return lock.substr(0, lock.rfind('/')); }

[[noreturn]] void cannot_lock(const std::string& path) {
  throw UserError(ExitCode::kCannotCreate, path + ": the run cannot be locked: " + errno_text());
}

int64_t time_of(const struct stat& status) { return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec; }

// Time of the last write, 0 if there is no file. Opens it, because that makes a network file system ask its server.
int64_t last_written(const std::string& path) {
  const int fd = ::open(path.c_str(), kReadOnly);
  if (fd < 0) return 0;
  struct stat status {};
  const int64_t time = ::fstat(fd, &status) == 0 ? time_of(status) : 0;
  ::close(fd);
  return time;
}

}  // namespace

RunLock::Owner RunLock::Owner::self() {
  return {ProcessId::self(), variable("SLURM_JOB_ID"), std::atoll(variable("SLURM_RESTART_COUNT").c_str()),
          random_token()};
}

bool RunLock::Owner::replaces(const Owner& earlier) const {
  return !job.empty() && job == earlier.job && restarts > earlier.restarts;
}

nlohmann::json RunLock::Owner::to_json() const {
  nlohmann::json object = process.to_json();
  object.update({{"job", job}, {"restarts", restarts}, {"token", token}});
  object["digest"] = xxh128_hex(text_of(object));
  return object;
}

RunLock::Owner RunLock::Owner::from_json(nlohmann::json object) {
  try {
    if (object.contains("digest")) {
      const std::string digest = object.at("digest");
      object.erase("digest");
      if (digest != xxh128_hex(text_of(object))) return {};
    }
    return {ProcessId::from_json(object), object.value("job", ""), object.value("restarts", int64_t{0}),
            object.value("token", "")};
  } catch (const nlohmann::json::exception&) {  // incomplete, or not written by us
    return {};
  }
}

// The lock file as it was found: its identity, its owner, and when the owner's files were last written (by the server's
// clock).
struct RunLock::Sight {
  Owner owner;
  ino_t file = 0;
  int64_t touched = 0, published = 0;  // ns

  bool same_file(const Sight& other) const { return file == other.file && owner.token == other.owner.token; }
  bool same_times(const Sight& other) const { return touched == other.touched && published == other.published; }
};

// None: no such file (any more).
std::optional<RunLock::Sight> RunLock::look(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw UserError(ExitCode::kCannotCreate, path + ": is a folder, link or pipe, and not a run's lock; remove it");
  const int fd = ::open(path.c_str(), kReadOnly);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  char text[4096];
  const bool seen = fd >= 0 && ::fstat(fd, &status) == 0;
  const ssize_t length = seen ? ::read(fd, text, sizeof text) : -1;
  const int cause = errno;
  if (fd >= 0) ::close(fd);
  if (length < 0 && cause == ESTALE) return std::nullopt;  // replaced during the read
  errno = cause;
  if (length < 0) cannot_lock(path);
  return Sight{Owner::from_json(parse_json_or_discard({text, static_cast<size_t>(length)})), status.st_ino,
               time_of(status), last_written(RunDir{folder_of(path)}.first_rank())};
}

RunLock::RunLock(const RunDir& run, LockTiming timing, const std::function<bool()>& stop, std::string refusal)
    : path_(run.lock()), timing_(timing), refusal_(std::move(refusal)), owner_(Owner::self()) {
  try {
    hold_folder();
    while (!make()) {
      const std::optional<Sight> found = look(path_);
      if (found && has_ended(*found, stop)) clear_away(*found);
    }
  } catch (...) {
    ::close(folder_);
    throw;
  }
  thread_ = std::jthread([this](const std::stop_token& ended) { touch_until(ended); });
}

RunLock::~RunLock() {
  thread_.request_stop();
  thread_.join();
  if (is_ours()) ::unlink(path_.c_str());
  ::close(fd_);
  ::close(folder_);
}

bool RunLock::is_ours() const {
  struct stat made {
  }, found{};
  return ::fstat(fd_, &made) == 0 && ::lstat(path_.c_str(), &found) == 0 && made.st_ino == found.st_ino &&
         made.st_dev == found.st_dev;
}

// Rule 0. A machine that was lost may still seem to hold a folder of a network file system: then the other rules
// decide.
void RunLock::hold_folder() {
  folder_ = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) cannot_lock(path_);
  if (::flock(folder_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  Owner owner;
  try {
    owner = look(path_).value_or(Sight{}).owner;
  } catch (const UserError&) {  // not a file, or not readable
  }
  const std::string& boot = owner.process.boot;
  if (boot.empty() || boot == ProcessId::self().boot) refuse(owner);
}

// False: the file exists already.
bool RunLock::make() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0 && errno == EEXIST) return false;
  if (fd_ < 0) cannot_lock(path_);
  const std::string text = text_of(owner_.to_json()) + "\n";
  if (::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd_) == 0) return true;
  const int cause = errno;
  ::close(fd_);
  ::unlink(path_.c_str());
  errno = cause;
  cannot_lock(path_);
}

// False: the file was removed, or belongs to another process by now.
bool RunLock::has_ended(const Sight& found, const std::function<bool()>& stop) const {
  const ProcessId& process = found.owner.process;
  if (process.pid > 0 && process.in_sight()) {
    if (process.alive()) refuse(found.owner);
    return true;
  }
  return owner_.replaces(found.owner) || falls_silent(found, stop);
}

bool RunLock::falls_silent(const Sight& found, const std::function<bool()>& stop) const {
  log::info("{}: held by {}, which cannot be seen from here. Waiting up to {:.0f} s for a sign of life", path_,
            name_of(found.owner.process), seconds(timing_.silent));
  Sight last = found;
  Clock::time_point since = Clock::now(), told = since;
  for (int signs = 0;;) {
    std::this_thread::sleep_for(timing_.touch / kLooksPerTouch);
    if (stop())
      throw UserError(ExitCode::kSavedRunAgain,
                      folder_of(path_) + ": stopped by a signal before the run could start; run the same line again");
    const std::optional<Sight> now = look(path_);
    if (!now || !now->same_file(last)) return false;
    if (!now->same_times(last)) {
      if (++signs == kSignsOfLife) refuse(found.owner);
      since = Clock::now();
    }
    last = *now;
    const auto silent = std::chrono::duration_cast<milliseconds>(Clock::now() - since);
    if (silent >= timing_.silent) return true;
    if (Clock::now() - told < timing_.tell) continue;
    told = Clock::now();
    log::info("{}: no sign of life for {:.0f} of {:.0f} s", path_, seconds(silent), seconds(timing_.silent));
  }
}

void RunLock::refuse(const Owner& owner) const {
  throw UserError(ExitCode::kCannotCreate, folder_of(path_) + ": " + name_of(owner.process) + " " + refusal_ + ".");
}

// Two starts may find the same owner dead: flock orders them, and the second one sees that the file has changed. On a
// file system without flock the second may remove the first one's lock; the first then notices the second in check().
void RunLock::clear_away(const Sight& ended) const {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return;
  if (fd < 0) cannot_lock(path_);
  while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
  }
  const std::optional<Sight> now = look(path_);
  const bool unchanged = now && now->same_file(ended) && now->same_times(ended);
  const int cause = unchanged && ::unlink(path_.c_str()) != 0 ? errno : 0;
  ::close(fd);
  errno = cause;
  if (cause != 0) cannot_lock(path_);
  if (unchanged) log::warning("{}: taken over from {}, which has ended", path_, name_of(ended.owner.process));
}

void RunLock::touch_until(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  bool told = false;
  while (!stop.stop_requested()) {
    if (::futimens(fd_, nullptr) != 0 && !told) {
      told = true;
      log::warning("{}: cannot be touched: {}; another start may think that this run has ended", path_, errno_text());
    }
    wake.wait_for(lock, stop, timing_.touch, [] { return false; });
  }
}

void RunLock::check() const {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (looked_ && now - *looked_ < timing_.touch / kLooksPerTouch) return;
  const auto other = other_owner(path_, owner_.token);
  if (other)
    throw LostLock(
        fmt::format("{}: {} has taken over this run folder, because this process gave no sign of life for "
                    "too long. This start stops and writes nothing more; the other continues",
                    folder_of(path_), name_of(*other)));
  looked_ = now;
}

std::optional<ProcessId> RunLock::other_owner(const std::string& lock, const std::string& token) {
  try {
    const std::optional<Sight> found = look(lock);
    if (found && !found->owner.token.empty() && found->owner.token != token) return found->owner.process;
  } catch (const UserError&) {  // not readable now: read again before the next write
  }
  return std::nullopt;
}

}  // namespace hyperx::train
