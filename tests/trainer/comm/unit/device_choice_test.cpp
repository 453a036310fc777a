#include "trainer/comm/device_choice.h"

#include <gmock/gmock.h>

#include <functional>

#include "common/errors.h"
#include "tests/support/errors.h"

namespace hyperx::comm {
namespace {

using testing::HasSubstr;

std::string refusal(const std::function<void()>& choice) { return test::message_of(ExitCode::kBadConfig, choice); }

TEST(DeviceChoice, TheGpuOfTheLocalRank) {
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(choose_gpu(rank, 4, 4, false), rank);
  EXPECT_EQ(choose_gpu(3, 4, 8, false), 3);
}

TEST(DeviceChoice, TheOnlyGpuThatTheLauncherShows) {
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(choose_gpu(rank, 4, 1, false), 0);
}

TEST(DeviceChoice, MoreRanksThanGpus) {
  EXPECT_THAT(refusal([] { choose_gpu(2, 3, 2, false); }), HasSubstr("3 ranks on this machine, but 2 GPUs"));
  EXPECT_EQ(choose_gpu(2, 3, 2, true), 0);
  EXPECT_THAT(refusal([] { choose_gpu(0, 1, 0, false); }), HasSubstr("no GPU is visible"));
}

TEST(DeviceChoice, RanksOnOneGpu) {
  const std::vector<RankGpu> gpus = {{"a", "0000:01:00.0"}, {"a", "0000:02:00.0"}, {"b", "0000:01:00.0"}};
  EXPECT_EQ(refusal([&] { check_distinct_gpus(gpus, false); }), "");
  auto shared = gpus;
  shared.push_back({"a", "0000:02:00.0"});
  EXPECT_THAT(refusal([&] { check_distinct_gpus(shared, false); }),
              HasSubstr("ranks 1 and 3 both have GPU 0000:02:00.0 of a"));
  EXPECT_EQ(refusal([&] { check_distinct_gpus(shared, true); }), "");
}

TEST(DeviceChoice, SharingNeedsANewNcclAndTheUsersWord) {
  EXPECT_TRUE(gpu_sharing_allowed(23003, "1"));
  EXPECT_FALSE(gpu_sharing_allowed(23002, "1"));
  EXPECT_FALSE(gpu_sharing_allowed(23003, "0"));
  EXPECT_FALSE(gpu_sharing_allowed(23003, nullptr));
}

TEST(DeviceChoice, NcclVersion) {
  EXPECT_EQ(nccl_version_text(22809), "2.28.9");
  EXPECT_EQ(refusal([] { check_nccl_version(22809, 22809); }), "");
  EXPECT_EQ(refusal([] { check_nccl_version(22809, 23003); }), "");
  EXPECT_THAT(refusal([] { check_nccl_version(22809, 22703); }),
              HasSubstr("NCCL 2.27.3 was loaded, hyperx was built with 2.28.9"));
  EXPECT_THAT(refusal([] { check_nccl_version(22809, 30000); }), HasSubstr("NCCL 3.0.0"));
}

TEST(DeviceChoice, Kind) {
  const GpuSight none{.built_with_cuda = true}, one{.built_with_cuda = true, .usable = 1, .hardware = true};
  const GpuSight driver{.built_with_cuda = true, .hardware = true, .reason = "driver too old"};
  const GpuSight no_build{.built_with_cuda = false, .hardware = true};
  EXPECT_EQ(choose_device_kind("auto", none), DeviceKind::kCpu);
  EXPECT_EQ(choose_device_kind("auto", one), DeviceKind::kCuda);
  EXPECT_EQ(choose_device_kind("cpu", one), DeviceKind::kCpu);
  EXPECT_EQ(choose_device_kind("cpu", driver), DeviceKind::kCpu);
  EXPECT_EQ(choose_device_kind("cuda", one), DeviceKind::kCuda);
  EXPECT_THAT(refusal([&] { choose_device_kind("cuda", none); }), HasSubstr("no GPU is visible"));
  EXPECT_THAT(refusal([&] { choose_device_kind("cuda", GpuSight{}); }), HasSubstr("built without CUDA"));
  for (const char* device : {"auto", "cuda"}) {
    EXPECT_THAT(refusal([&] { choose_device_kind(device, driver); }), HasSubstr("cannot use it (driver too old)"));
    EXPECT_THAT(refusal([&] { choose_device_kind(device, no_build); }), HasSubstr("built without CUDA"));
  }
}

}  // namespace
}  // namespace hyperx::comm
