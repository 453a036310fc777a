#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/log.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {

namespace {

constexpr int64_t kEnded = -1;

// Start time of a process, field 22 of its stat line. 0 when there is none to be seen (another user's process may be
// hidden); kEnded when it has ended and nobody has waited for it (containers without an init keep such for ever).
// Fields are counted from behind the command's name, which may hold blanks and brackets.
int64_t start_ticks_of(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    if (!(fields >> field)) return 0;
    if (i == 3 && (field == "Z" || field == "X")) return kEnded;  // the process's state
  }
  return std::strtoll(field.c_str(), nullptr, 10);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_owner(int fd, const std::string& path) {
  const std::string text = ProcessId::self().to_json().dump() + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::fsync(fd) != 0)
    throw UserError(ExitCode::kCannotCreate, path + ": the run cannot be locked: " + errno_text());
}

ProcessId read_owner(const std::string& path) {
  // Its maker may be between creating and writing.
  for (int attempt = 0; attempt < 10 && std::filesystem::exists(path); ++attempt) {
    std::ifstream file(path);
    const nlohmann::json object = nlohmann::json::parse(file, nullptr, false);
    if (object.is_object()) return ProcessId::from_json(object);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return {};
}

// The same host: whether its maker lives can be told. Anything else: only people can.
void refuse_unless_dead(const ProcessId& owner, const std::string& path) {
  if (owner.pid == 0 || (owner.on_this_host() && !owner.alive())) return;
  const std::string who = "process " + std::to_string(owner.pid) + " on " + owner.host;
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (owner.on_this_host())
    throw UserError(
        ExitCode::kCannotCreate,
        folder + ": " + who + " is running in this folder. Wait for it, stop it, or name another --run.dir.");
  throw UserError(ExitCode::kCannotCreate, folder + ": locked by " + who + ", which cannot be checked from " +
                                               host_name() + ". If it has ended, remove " + path + " and start again.");
}

// false: there is one already.
bool make_lock(const std::string& path) {
  const Descriptor made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (made.get() >= 0) write_owner(made.get(), path);
  if (made.get() < 0 && errno != EEXIST)
    throw UserError(ExitCode::kCannotCreate, path + ": the run cannot be locked: " + errno_text());
  return made.get() >= 0;
}

// Takes the lock of a dead process; false: it was given back meanwhile. Two processes may see the same dead owner. Both
// are on its host, where flock orders them if the file system has it; the second then finds the first one's name.
bool take_over_lock(const std::string& path) {
  refuse_unless_dead(read_owner(path), path);
  const Descriptor taken(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (taken.get() < 0 && errno == ENOENT) return false;
  if (taken.get() < 0) throw UserError(ExitCode::kCannotCreate, path + ": the run cannot be locked: " + errno_text());
  while (::flock(taken.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat status {};
  if (::fstat(taken.get(), &status) != 0) throw SystemError(path + ": " + errno_text());
  if (status.st_nlink == 0) return false;  // what was opened is the file of one that came and went
  const ProcessId owner = read_owner(path);
  refuse_unless_dead(owner, path);
  log::warning("{}: took over the lock of process {}, which is gone", path, owner.pid);
  write_owner(taken.get(), path);
  return true;
}

}  // namespace

ProcessId ProcessId::self() { return {host_name(), ::getpid(), start_ticks_of(::getpid())}; }
bool ProcessId::on_this_host() const { return host == host_name(); }

bool ProcessId::alive() const {
  if (pid <= 0 || (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)) return false;
  const int64_t ticks = start_ticks_of(pid);
  return ticks != kEnded && (start_ticks == 0 || ticks == 0 || ticks == start_ticks);
}

nlohmann::json ProcessId::to_json() const { return {{"host", host}, {"pid", pid}, {"start_ticks", start_ticks}}; }

ProcessId ProcessId::from_json(const nlohmann::json& object) {
  ProcessId id;
  if (object.contains("host") && object["host"].is_string()) id.host = object["host"];
  if (object.contains("pid") && object["pid"].is_number_integer()) id.pid = object["pid"];
  if (object.contains("start_ticks") && object["start_ticks"].is_number_integer())
    id.start_ticks = object["start_ticks"];
  return id;
}

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  struct tm parts {};
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &parts));
  return text;
}

double age_seconds(const std::string& text) {
  struct tm parts {};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return -1;
  return std::max(0.0, std::difftime(std::time(nullptr), ::timegm(&parts)));
}

RunLock::RunLock(const RunDir& run) : path_(run.lock()) {
  while (!make_lock(path_) && !take_over_lock(path_)) {
  }
}

RunLock::~RunLock() { ::unlink(path_.c_str()); }

}  // namespace hyperx::train
