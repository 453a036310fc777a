#include "trainer/run/run_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <functional>

#include "common/files.h"
#include "common/host.h"
#include "tests/support/errors.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "tests/trainer/run/ended_process.h"

namespace hyperx::train {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

// So short that tests are quick, so long that a busy machine keeps to it.
const LockTiming kShort{milliseconds(50), milliseconds(1500), milliseconds(300)};
const LockTiming kNeverSilent{milliseconds(50), std::chrono::hours(1), std::chrono::hours(1)};

class RunLockTest : public FolderTest {
 protected:
  void SetUp() override {
    ::unsetenv("SLURM_JOB_ID");
    ::unsetenv("SLURM_RESTART_COUNT");
    run_ = open_run_dir(path("run"), false);
  }

  std::string refused(const LockTiming& timing = {}) const {
    return test::message_of(ExitCode::kCannotCreate, [&] { const RunLock lock(run_, timing); });
  }

  static RunLock::Owner owner(const ProcessId& process) {
    RunLock::Owner owner = RunLock::Owner::self();
    owner.process = process;
    return owner;
  }
  void write_lock(const RunLock::Owner& owner) const { write_file_atomically(run_.lock(), owner.to_json().dump()); }

  static ProcessId on_another_host() {
    ProcessId process = ProcessId::self();
    process.host = "another-host";
    return process;
  }

  // Takes the lock and gives it back. Seconds until it had it.
  double take_and_release(const LockTiming& timing) const {
    const Clock::time_point begin = Clock::now();
    const RunLock lock(run_, timing);
    EXPECT_EQ(RunLock::other_owner(run_.lock(), lock.token()), std::nullopt);
    return seconds_since(begin);
  }

  static std::jthread touching(const std::string& path) {
    return std::jthread([path](const std::stop_token& stop) {
      for (; !stop.stop_requested(); ::usleep(20000)) ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    });
  }

  // 0: held it; 1: refused; 2: somebody else held it too.
  int hold_lock(const LockTiming& timing) const {
    try {
      const RunLock lock(run_, timing);
      const std::string witness = run_.path + "/held";
      const int made = ::open(witness.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
      if (made < 0) return 2;
      ::usleep(20000);
      ::close(made);
      ::unlink(witness.c_str());
      return 0;
    } catch (const UserError&) {
      return 1;
    }
  }

  // Four processes want the lock that `owner` has left.
  void expect_one_holder_at_a_time(const RunLock::Owner& owner, const LockTiming& timing) {
    write_lock(owner);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(::fork());
      if (children.back() == 0) ::_exit(hold_lock(timing));
    }
    int holders = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_NE(WEXITSTATUS(status), 2) << "two processes held the lock at once";
      holders += WEXITSTATUS(status) == 0 ? 1 : 0;
    }
    EXPECT_GE(holders, 1);
    EXPECT_EQ(names_in(run_.path), "");
  }

  RunDir run_;
};

TEST_F(RunLockTest, KeepsASecondOneOutAndGoesWithTheFirst) {
  {
    const RunLock lock(run_);
    EXPECT_THAT(refused(), HasSubstr("process " + std::to_string(::getpid()) + " on " + host_name()));
    EXPECT_NO_THROW(lock.check());
    EXPECT_TRUE(fs::exists(run_.lock()));
  }
  EXPECT_FALSE(fs::exists(run_.lock()));
  const RunLock again(run_);
}

TEST_F(RunLockTest, OfADeadProcessInSightIsTakenOverAtOnce) {
  write_lock(owner(ended_process()));
  take_and_release(kNeverSilent);
  EXPECT_FALSE(fs::exists(run_.lock()));
  // the number is in use again, by a process that started at another time
  ProcessId reused = ProcessId::self();
  reused.start_ticks -= 1;
  write_lock(owner(reused));
  take_and_release(kNeverSilent);
}

// Containers without an init never wait for their orphans.
TEST_F(RunLockTest, OfAProcessThatNobodyWaitedForIsTakenOver) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = RunLock::Owner::self().to_json().dump();
    ::_exit(::write(told[1], text.data(), text.size()) < 0 ? 1 : 0);
  }
  ::close(told[1]);
  char text[1024];
  const ssize_t size = ::read(told[0], text, sizeof text);
  ::close(told[0]);
  ASSERT_GT(size, 0);
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  const auto left = RunLock::Owner::from_json(nlohmann::json::parse(text, text + size));
  EXPECT_TRUE(left.process.in_sight());
  EXPECT_FALSE(left.process.alive());
  write_lock(left);
  take_and_release(kNeverSilent);
  ::waitpid(child, nullptr, 0);
}

TEST_F(RunLockTest, OnlyOneOfManyTakesADeadProcessesLock) {
  for (int round = 0; round < 20; ++round) expect_one_holder_at_a_time(owner(ended_process()), kNeverSilent);
  for (int round = 0; round < 3; ++round) expect_one_holder_at_a_time(owner(on_another_host()), kShort);
}

// The node is lost; nobody can look at its processes.
TEST_F(RunLockTest, OfAnotherHostIsTakenOverWhenSilent) {
  write_lock(owner(on_another_host()));
  testing::internal::CaptureStderr();
  const double seconds = take_and_release(kShort);
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_GE(seconds, 1.5);
  EXPECT_THAT(told, AllOf(HasSubstr("another-host"), HasSubstr("Waiting up to 2 s"), HasSubstr("no sign of life for"),
                          HasSubstr("taken over from process")));
}

// Its digest does not hold, so it does not say which process is looked at. The owner itself continues.
TEST_F(RunLockTest, OfADamagedNameIsWatched) {
  std::string text = owner(ended_process()).to_json().dump();
  const size_t pid = text.find("\"pid\":") + 6;
  text[pid] = text[pid] == '9' ? '8' : '9';
  write_file_atomically(run_.lock(), text);
  EXPECT_GE(take_and_release(kShort), 1.5);
  const RunLock lock(run_, kShort);
  write_file_atomically(run_.lock(), text);
  ::usleep(20000);
  EXPECT_NO_THROW(lock.check());
}

// The same host name and a process of that number say nothing after a reboot or from another container.
TEST_F(RunLockTest, OfAnotherBootOrPidNamespaceIsWatched) {
  ProcessId process = ProcessId::self();
  process.boot = "another";
  EXPECT_FALSE(process.in_sight());
  write_lock(owner(process));
  EXPECT_GE(take_and_release(kShort), 1.5) << "a dead one of this number is not alive, and not dead at once";
  process = ended_process();
  process.pid_space = "pid:[1]";
  EXPECT_FALSE(process.in_sight());
  write_lock(owner(process));
  EXPECT_GE(take_and_release(kShort), 1.5);
}

TEST_F(RunLockTest, ThatIsTouchedIsRefused) {
  write_lock(owner(on_another_host()));
  const auto toucher = touching(run_.lock());
  EXPECT_THAT(refused(kNeverSilent), AllOf(HasSubstr("on another-host is running"), HasSubstr("--run.dir")));
}

TEST_F(RunLockTest, WithoutANameIsTakenOverWhenSilent) {
  write_file_atomically(run_.lock(), "");  // its maker died between making and writing it
  EXPECT_GE(take_and_release(kShort), 1.5);
  write_file_atomically(run_.lock(), "{\"token\": 7, \"host");
  EXPECT_GE(take_and_release(kShort), 1.5);
}

// Its ranks write a file each in ranks/; the lock is never touched.
TEST_F(RunLockTest, OfHyperx010IsWatched) {
  const nlohmann::json old = {{"host", host_name()}, {"pid", 1}, {"start_ticks", 1}};
  write_file_atomically(run_.lock(), old.dump());
  EXPECT_GE(take_and_release(kShort), 1.5);
  write_file_atomically(run_.lock(), old.dump());
  fs::create_directories(run_.ranks());
  write_file_atomically(run_.first_rank(), "");
  const auto toucher = touching(run_.first_rank());
  EXPECT_THAT(refused(kNeverSilent), HasSubstr("process 1 on " + host_name() + " is running"));
}

TEST_F(RunLockTest, OfAnEarlierStartOfTheSlurmJobIsTakenOverAtOnce) {
  ::setenv("SLURM_JOB_ID", "4711", 1);
  const RunLock::Owner first = owner(on_another_host());
  EXPECT_EQ(first.job, "4711");
  write_lock(first);
  ::setenv("SLURM_RESTART_COUNT", "1", 1);
  take_and_release(kNeverSilent);
  // another job, and a step of the same start, say nothing
  for (const char* job : {"4712", "4711"}) {
    RunLock::Owner other = owner(on_another_host());
    other.job = job;
    other.restarts = std::string(job) == "4712" ? 0 : 1;
    write_lock(other);
    EXPECT_GE(take_and_release(kShort), 1.5) << job;
  }
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_RESTART_COUNT");
}

TEST_F(RunLockTest, CheckFindsAnothersName) {
  {
    const RunLock lock(run_, kShort);
    lock.check();
    fs::remove(run_.lock());
    ::usleep(20000);
    EXPECT_NO_THROW(lock.check()) << "a missing lock names nobody";
    write_lock(owner(on_another_host()));
    ::usleep(20000);
    try {
      lock.check();
      FAIL() << "nothing was noticed";
    } catch (const LostLock& error) {
      EXPECT_EQ(error.code(), ExitCode::kCannotCreate);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(run_.path), HasSubstr("on another-host has taken over")));
    }
    EXPECT_EQ(RunLock::other_owner(run_.lock(), lock.token())->host, "another-host");
  }
  EXPECT_TRUE(fs::exists(run_.lock())) << "the other's lock is not ours to remove";
}

TEST_F(RunLockTest, ThatIsNoFileIsRefused) {
  const std::string lock = run_.lock();
  for (const std::function<void()>& make : std::initializer_list<std::function<void()>>{
           [&] { fs::create_directory(lock); }, [&] { ASSERT_EQ(::mkfifo(lock.c_str(), 0600), 0); },
           [&] { fs::create_symlink("nowhere", lock); }}) {
    make();
    EXPECT_THAT(refused(), AllOf(HasSubstr(lock), HasSubstr("remove it")));
    fs::remove(lock);
  }
}

// A real owner in another container: its number is that of a process here, or of none.
TEST_F(RunLockTest, OfAnotherContainer) {
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) != 0) ::_exit(77);
    const pid_t owner = ::fork();
    if (owner == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const RunLock lock(run_, kShort);
      for (;;) ::pause();
    }
    write_file_atomically(path("owner"), std::to_string(owner));
    int status = 0;
    ::waitpid(owner, &status, 0);
    ::_exit(WEXITSTATUS(status));
  }
  int status = 0;
  while (!fs::exists(path("owner")) || !fs::exists(run_.lock())) {
    if (::waitpid(launcher, &status, WNOHANG) == launcher) GTEST_SKIP() << "no PID namespaces to be had here";
    ::usleep(10000);
  }
  EXPECT_THAT(refused(kNeverSilent), HasSubstr("process 1 on " + host_name() + " is running"));
  // Stopped, it gives no sign of life, but the kernel knows it.
  const auto owner = static_cast<pid_t>(std::stol(read_file(path("owner"))));
  ::kill(owner, SIGSTOP);
  EXPECT_THAT(refused(kShort), HasSubstr("process 1 on " + host_name() + " is running"));
  ::kill(owner, SIGKILL);
  ::waitpid(launcher, &status, 0);
  EXPECT_GE(take_and_release(kShort), 1.5);
}

// Whatever becomes of its file, the running process holds the folder.
TEST_F(RunLockTest, OfARunningProcessCannotBeLostWithItsFile) {
  const RunLock lock(run_);
  const std::string path = run_.lock(), whole = read_file(path);
  const std::vector<std::function<void()>> damages = {
      [&] { write_file_atomically(path, "z" + whole.substr(1)); },
      [&] { write_file_atomically(path, ""); },
      [&] { write_file_atomically(path, whole.substr(0, whole.size() / 2)); },
      [&] { write_lock(owner(ended_process())); },
      [&] { fs::create_directory(path); },
      [&] { ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); },
      [&] { fs::create_symlink("nowhere", path); },
      [] {}};
  for (size_t i = 0; i < damages.size(); ++i) {
    fs::remove(path);
    damages[i]();
    const Clock::time_point begin = Clock::now();
    EXPECT_THAT(refused(), HasSubstr("is running in this folder")) << i;
    EXPECT_LT(seconds_since(begin), 1.0) << i;
  }
}

// A network file system may go on holding the folder for a machine that is lost.
TEST_F(RunLockTest, OfALostMachineThatSeemsToHoldTheFolderIsTakenOver) {
  const int held = ::open(run_.path.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  ProcessId lost = on_another_host();
  lost.boot = "another";
  write_lock(owner(lost));
  EXPECT_GE(take_and_release(kShort), 1.5);
  ::close(held);
}

TEST_F(RunLockTest, ASignalEndsTheWait) {
  write_lock(owner(on_another_host()));
  const Clock::time_point begin = Clock::now();
  const std::string told = test::message_of(ExitCode::kSavedRunAgain, [&] {
    const RunLock lock(run_, kNeverSilent, [&] { return seconds_since(begin) > 0.05; });
  });
  EXPECT_THAT(told, AllOf(HasSubstr(run_.path), HasSubstr("stopped by a signal")));
  EXPECT_TRUE(fs::exists(run_.lock()));
}

// Where /proc counts the processes of another PID namespace, it says nothing about ours.
TEST_F(RunLockTest, AProcessIsAliveWhateverProcShows) {
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) != 0) ::_exit(77);
    const pid_t process = ::fork();
    if (process == 0) ::_exit(ProcessId::self().alive() ? 0 : 1);
    int status = 0;
    ::waitpid(process, &status, 0);
    ::_exit(WEXITSTATUS(status));
  }
  int status = 0;
  ::waitpid(launcher, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no PID namespaces to be had here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Without a start time to compare, a process that is seen counts as alive.
TEST_F(RunLockTest, AProcessThatIsSeenIsAlive) {
  ProcessId process = ProcessId::self();
  process.pid = 1;
  process.start_ticks = 0;
  EXPECT_TRUE(process.in_sight());
  EXPECT_TRUE(process.alive());
}

TEST_F(RunLockTest, AProcessComesBackFromJson) {
  const ProcessId self = ProcessId::self();
  EXPECT_FALSE(self.boot.empty());
  EXPECT_FALSE(self.pid_space.empty());
  const ProcessId back = ProcessId::from_json(self.to_json());
  EXPECT_EQ(back, self);
  EXPECT_TRUE(back.in_sight());
  EXPECT_TRUE(back.alive());
}

}  // namespace
}  // namespace hyperx::train
