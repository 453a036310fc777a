#include <gmock/gmock.h>

#include <cstdlib>
#include <functional>

#include "common/errors.h"
#include "tests/support/errors.h"
#include "tests/trainer/comm/ranks/rank_session.h"
#include "trainer/comm/gpu_sight.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/mpi_check.h"

namespace hyperx::comm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const std::function<void()>& call) { return test::message_of(ExitCode::kBadConfig, call); }

ParallelConfig backend(const std::string& name) {
  ParallelConfig config;
  config.backend = name;
  return config;
}

TEST(MpiSession, KnowsTheLaunchersRanks) {
  const MpiSession& session = rank_session();
  ASSERT_TRUE(session.launched());
  EXPECT_EQ(std::to_string(session.rank()), std::getenv("OMPI_COMM_WORLD_RANK"));
  EXPECT_EQ(std::to_string(session.size()), std::getenv("OMPI_COMM_WORLD_SIZE"));
  EXPECT_EQ(std::to_string(session.info().local_rank), std::getenv("OMPI_COMM_WORLD_LOCAL_RANK"));
  EXPECT_EQ(std::to_string(session.info().local_size), std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE"));
  EXPECT_EQ(static_cast<int>(session.info().hosts.size()), session.size());
  EXPECT_FALSE(session.info().host().empty());
  EXPECT_THAT(session.library(), HasSubstr("Open MPI v"));
}

TEST(MpiSession, TheJobHasOneName) {
  for (const std::string& name : rank_session().gather_texts(rank_session().info().job))
    EXPECT_EQ(name, rank_session().info().job);
}

TEST(MpiSession, GathersTextsOfAnyLength) {
  const auto texts = rank_session().gather_texts(std::string(rank_session().rank() * 100, 'x'));
  for (int rank = 0; rank < rank_session().size(); ++rank) EXPECT_EQ(texts[rank], std::string(rank * 100, 'x'));
}

TEST(MpiSession, AllArrive) { EXPECT_TRUE(rank_session().all_arrive(std::chrono::seconds(20))); }

TEST(MpiSession, IsOneInAProgram) { EXPECT_THROW(MpiSession(), SystemError); }

TEST(MpiCheck, TellsTheCallAndMpisWords) {
  try {
    HYPERX_MPI(MPI_Bcast(nullptr, 1, MPI_INT, 1000, rank_session().world()));
    FAIL() << "an impossible root";
  } catch (const SystemError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("MPI_Bcast(nullptr, 1, MPI_INT, 1000, rank_session().world()) failed: MPI_ERR_ROOT"),
                      HasSubstr("session_test.cpp:")));
  }
}

TEST(MakeCommunicator, AutoChooses) {
  const auto communicator = make_communicator(backend("auto"), at::kCPU, rank_session());
  EXPECT_STREQ(communicator->backend(), rank_session().size() == 1 ? "local" : "mpi");
  EXPECT_STREQ(make_communicator(backend("mpi"), at::kCPU, rank_session())->backend(), "mpi");
}

TEST(MakeCommunicator, RefusesWhatCannotRun) {
  const auto make = [](const std::string& name, at::Device device) {
    return refusal([&] { make_communicator(backend(name), device, rank_session()); });
  };
  EXPECT_THAT(make("nccl", at::kCPU), HasSubstr("parallel.backend=nccl: carries CUDA tensors, but device is cpu"));
  EXPECT_THAT(make("mpi", at::kCUDA), HasSubstr("parallel.backend=mpi: carries CPU tensors, but device is cuda"));
  if (rank_session().size() > 1) {
    EXPECT_THAT(make("local", at::kCPU), HasSubstr("parallel.backend=local: is for one rank"));
  }
}

TEST(ChooseDevice, WithoutAGpu) {
  if (look_for_gpus().hardware) GTEST_SKIP() << "a GPU is here";
  EXPECT_TRUE(choose_device("cpu", rank_session()).is_cpu());
  EXPECT_TRUE(choose_device("auto", rank_session()).is_cpu());
  EXPECT_THAT(refusal([] { choose_device("cuda", rank_session()); }), HasSubstr("device=cuda, but "));
}

}  // namespace
}  // namespace hyperx::comm
