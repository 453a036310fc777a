#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <chrono>
#include <random>

#include "common/errors.h"
#include "common/files.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/run/metrics_file.h"

namespace hyperx::train {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class CheckpointFaults : public FolderTest {
 protected:
  // Saves one checkpoint after another until it is killed; goes on from what it finds, as a resumed run does.
  [[noreturn]] static void save_for_ever(const std::string& folder) {
    int64_t step = 0;
    const FoundCheckpoint found = find_latest_whole(folder);
    if (!found.folder.empty()) step = found.step;
    CheckpointWriter writer({folder, 2, 1});
    for (;;) {
      const Sample sample(++step);
      CheckpointContent content = sample.content();
      content.score = static_cast<double>((step * 7) % 11);
      writer.submit(content);
    }
  }
};

TEST_F(CheckpointFaults, KilledAtAnyMomentTheNewestIsWhole) {
  constexpr int kKills = 100;
  std::mt19937 random(20220512);
  const std::string folder = path("checkpoints");
  // as long as a few saves take on this machine, now
  const auto start = std::chrono::steady_clock::now();
  for (int64_t step = 1; step <= 4; ++step) write_now(path("measured"), step);
  const double save_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 4;
  const auto longest_us = static_cast<uint64_t>(1e6 * (0.005 + 5 * save_seconds));
  int64_t newest = 0;
  int left_over = 0, progressed = 0;
  for (int kill_number = 0; kill_number < kKills; ++kill_number) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) save_for_ever(folder);
    ::usleep(static_cast<useconds_t>(random() % longest_us));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) left_over += entry.path().extension() == ".tmp" ? 1 : 0;
    const FoundCheckpoint found = find_latest_whole(folder);
    ASSERT_TRUE(found.damaged.empty()) << found.damaged[0].reason;
    ASSERT_GE(found.step, newest) << "a checkpoint that was there is lost";
    if (found.folder.empty()) continue;
    progressed += found.step > newest ? 1 : 0;
    newest = found.step;
    Sample::expect_whole(found.folder);
    if (fs::exists(folder + "/best")) {
      EXPECT_TRUE(verify_checkpoint(resolve_checkpoint(folder)).empty());
    }
  }
  RecordProperty("checkpoints", std::to_string(newest));
  RecordProperty("left_over_folders", left_over);
  std::printf("%d kills: %ld checkpoints, %d kills after a new one, %d unfinished folders seen and swept\n", kKills,
              static_cast<long>(newest), progressed, left_over);
  EXPECT_GT(left_over, 5) << "hardly any kill fell into the writing";
  EXPECT_GT(progressed, 20);
}

TEST_F(CheckpointFaults, EveryFlippedByteIsDetected) {
  const std::string good = write_now(path("good"), 7, 0.5);
  std::mt19937_64 random(3);
  for (const char* name : {kModelFile, kOptimizerFile, kManifestFile}) {
    const std::string file = good + "/" + name;
    const uintmax_t size = fs::file_size(file);
    for (int i = 0; i < 200; ++i) {
      const auto offset = static_cast<int64_t>(random() % size);
      const char mask = static_cast<char>(1 + random() % 255);
      flip(file, offset, mask);
      const std::vector<std::string> problems = verify_checkpoint(good);
      EXPECT_EQ(problems.size(), 1u) << name << " byte " << offset;
      for (const std::string& problem : problems) EXPECT_THAT(problem, HasSubstr(name));
      EXPECT_THROW(Checkpoint::open(good), UserError);
      flip(file, offset, mask);
    }
  }
  EXPECT_TRUE(verify_checkpoint(good).empty());
}

TEST_F(CheckpointFaults, EveryTruncationIsDetected) {
  const std::string good = write_now(path("good"), 7);
  std::mt19937_64 random(4);
  for (const char* name : {kModelFile, kOptimizerFile, kManifestFile}) {
    const std::string file = good + "/" + name, content = read_file(file);
    for (int i = 0; i < 200; ++i) {
      const uintmax_t keep = i == 0 ? 0 : i == 1 ? content.size() - 1 : random() % content.size();
      fs::resize_file(file, keep);
      EXPECT_FALSE(verify_checkpoint(good).empty()) << name << " cut to " << keep;
      std::ofstream(file, std::ios::binary) << content;
    }
  }
  EXPECT_TRUE(verify_checkpoint(good).empty());
}

class SmallDisk : public FolderTest {
 protected:
  void SetUp() override {
    fs::create_directories(path("disk"));
    mounted_ = ::mount("tmpfs", path("disk").c_str(), "tmpfs", 0, "size=6m") == 0;
    if (!mounted_) GTEST_SKIP() << "a file system of 6 MiB cannot be mounted (not root?): " << errno_text();
  }
  void TearDown() override {
    if (mounted_) ::umount(path("disk").c_str());
  }
  bool mounted_ = false;
};

TEST_F(SmallDisk, AFullDiskNeitherEndsTheTrainingNorHarmsWhatIsSaved) {
  const std::string folder = path("disk/checkpoints");
  CheckpointWriter writer({folder, 5, 1});
  int64_t saved = 0;
  for (int64_t step = 1; step <= 8; ++step) {  // 1.6 MB each
    writer.submit(Sample(step).content());
    writer.wait();
    if (!writer.failure()) saved = step;
  }
  EXPECT_EQ(saved, 3);
  EXPECT_EQ(writer.failures(), 5);
  EXPECT_THAT(*writer.failure(), HasSubstr("the disk has"));
  EXPECT_EQ(names_in(folder), "latest step-0000001 step-0000002 step-0000003");
  for (int64_t step = 1; step <= 3; ++step) Sample::expect_whole(folder + "/" + checkpoint_name(step));
  fs::remove_all(folder + "/step-0000001");
  writer.submit(Sample(9).content());
  writer.wait();
  EXPECT_EQ(writer.failure(), std::nullopt);
  Sample::expect_whole(folder + "/step-0000009");
}

// The check beforehand cannot know what others write meanwhile: the disk fills up at every possible place of the
// writing.
TEST_F(SmallDisk, FillingUpMidwayIsNoticedWhereverItHappens) {
  int failed = 0, succeeded = 0;
  for (int64_t ballast = 4300; ballast <= 6100; ballast += 16) {
    fs::create_directories(path("disk/step.tmp"));
    std::ofstream(path("disk/ballast"), std::ios::binary) << std::string(static_cast<size_t>(ballast) * 1024, 'x');
    const Sample sample(7);
    const std::string folder = path("disk/step-0000007");
    try {
      commit_checkpoint(path("disk/step.tmp"), folder, sample.content(),
                        write_checkpoint_files(path("disk/step.tmp"), sample.content()));
      ++succeeded;
      Sample::expect_whole(folder);
    } catch (const SystemError& error) {
      ++failed;
      EXPECT_THAT(error.what(), HasSubstr("No space left on device")) << ballast;
      EXPECT_FALSE(fs::exists(folder));
    }
    fs::remove_all(folder);
    fs::remove_all(path("disk/step.tmp"));
  }
  EXPECT_GT(failed, 10);
  EXPECT_GT(succeeded, 10);
}

TEST_F(SmallDisk, MetricsKeepWholeLinesOnAFullDisk) {
  MetricsFile metrics(path("disk/metrics.jsonl"), 0);
  const std::string padding(5000, 'x');
  int64_t written = 0;
  EXPECT_THROW(
      for (;;) {
        metrics.write({{"event", "step"}, {"step", written + 1}, {"padding", padding}});
        ++written;
      },
      SystemError);
  const std::string text = read_file(path("disk/metrics.jsonl"));
  EXPECT_GT(written, 1000);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), written);
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace hyperx::train
