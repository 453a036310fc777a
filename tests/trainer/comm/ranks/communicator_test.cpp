// Every collective of every backend, in all types, against sums and orders worked out from all ranks' input, which each
// rank knows because it is a function of (rank, element).
#include "model/comm/communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#include "model/comm/local_communicator.h"
#include "model/comm/thread_ranks.h"
#include "tests/trainer/comm/ranks/rank_session.h"
#include "trainer/comm/gpu_sight.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/mpi_communicator.h"

namespace hyperx::comm {
namespace {

// A backend and the longest message of one of its MPI calls; low limits lead through the paths of messages past
// INT_MAX.
struct Backend {
  std::string name;
  int64_t chunk_elements = MpiCommunicator::kChunkElements;
};

const std::vector<int64_t> kSizes = {0,  1,  2,  3,  4,  5,  6,   7,    8,    9,    10,    11,    12,
                                     13, 14, 15, 16, 17, 64, 999, 1024, 1025, 4099, 20011, 300007};
const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kDouble, at::kLong, at::kByte, at::kBFloat16};

// Small whole numbers: sums over 4 ranks are exact in every type.
at::Tensor whole_numbers(int rank, int64_t count, at::ScalarType type, int64_t from = 0) {
  const at::Tensor index = at::arange(from, from + count, at::kLong);
  return ((index * 3 + rank * 7) % 11 + rank).to(type);
}

at::Tensor random_numbers(int rank, int64_t count, at::ScalarType type) {
  std::mt19937_64 random(1000 + rank);
  std::normal_distribution<double> normal;
  std::vector<double> values(count);
  for (double& value : values) value = normal(random) * std::pow(10.0, static_cast<double>(random() % 7));
  return at::tensor(values, at::kDouble).to(type);
}

class CommunicatorTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    const Backend& backend = GetParam();
    const MpiSession& session = rank_session();
    if (backend.name == "local") {
      if (session.size() > 1) GTEST_SKIP() << "the local communicator has one rank";
      communicator_ = std::make_unique<LocalCommunicator>(session.info());
    } else if (backend.name == "mpi") {
      communicator_ = std::make_unique<MpiCommunicator>(session, backend.chunk_elements);
    } else {
      const GpuSight sight = look_for_gpus();
      if (sight.usable < session.info().local_size) {
        GTEST_SKIP() << "NCCL needs a GPU a rank: " << sight.usable << " GPUs, " << session.info().local_size
                     << " ranks";
      }
      ParallelConfig config;
      config.backend = "nccl";
      device_ = choose_device("cuda", session);
      communicator_ = make_communicator(config, device_, session);
    }
  }

  int rank() const { return communicator_->rank(); }
  int size() const { return communicator_->size(); }
  // Those that a few dozen messages carry: each costs a change of process where ranks share a core.
  static std::vector<int64_t> sizes() {
    std::vector<int64_t> chosen;
    for (const int64_t count : kSizes) {
      if (count <= longest()) chosen.push_back(count);
    }
    return chosen;
  }
  static int64_t longest() { return 40 * GetParam().chunk_elements; }
  bool exact_order() const { return GetParam().name != "nccl"; }
  at::Tensor place(const at::Tensor& tensor) const { return tensor.to(device_); }
  static void expect_equal(const at::Tensor& got, const at::Tensor& wanted, const std::string& what) {
    EXPECT_TRUE(at::equal(got.cpu(), wanted))
        << what << ", " << wanted.numel() << " of " << c10::toString(wanted.scalar_type());
  }
  // Sum in the order of ranks, the type's way.
  at::Tensor sum_of(const std::function<at::Tensor(int)>& input, at::ScalarType type) const {
    const at::ScalarType wide = type == at::kFloat ? at::kDouble : type == at::kBFloat16 ? at::kFloat : type;
    at::Tensor sum = input(0).to(wide);
    for (int from = 1; from < size(); ++from) sum = sum + input(from).to(wide);
    return sum.to(type);
  }

  at::Device device_ = at::kCPU;
  std::unique_ptr<Communicator> communicator_;
};

TEST_P(CommunicatorTest, AllReduceIsExact) {
  for (const auto type : kTypes) {
    for (const int64_t count : sizes()) {
      const at::Tensor tensor = place(whole_numbers(rank(), count, type));
      communicator_->all_reduce(tensor);
      expect_equal(tensor, sum_of([&](int from) { return whole_numbers(from, count, type); }, type), "all_reduce");
    }
  }
}

TEST_P(CommunicatorTest, AllReduceOfAnyNumbersIsTheSumInRankOrder) {
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    for (const int64_t count : {int64_t{5}, int64_t{1024}, int64_t{1025}, std::min<int64_t>(longest(), 20011)}) {
      const at::Tensor tensor = place(random_numbers(rank(), count, type));
      communicator_->all_reduce(tensor);
      const at::Tensor wanted = sum_of([&](int from) { return random_numbers(from, count, type); }, type);
      if (exact_order()) {
        expect_equal(tensor, wanted, "random all_reduce");
      } else {
        const double tolerance = type == at::kBFloat16 ? 3e-2 : 1e-5;
        const at::Tensor size_of_terms =
            sum_of([&](int from) { return random_numbers(from, count, type).abs(); }, type);
        EXPECT_TRUE(((tensor.cpu() - wanted).abs() <= tolerance * size_of_terms).all().item<bool>());
      }
    }
  }
}

// Tests on threads stand for runs under MPI.
TEST_P(CommunicatorTest, ThreadsGiveTheSameBits) {
  if (!exact_order()) GTEST_SKIP() << "the order is NCCL's";
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    for (const int64_t count : {int64_t{5}, int64_t{1024}, int64_t{1025}}) {
      const int64_t whole = size() * count;
      const at::Tensor sum = random_numbers(rank(), whole, type), part = at::zeros({count}, type);
      communicator_->reduce_scatter(sum, part);
      communicator_->all_reduce(sum);
      ThreadRanks(size()).run([&](Communicator& threads) {
        const at::Tensor same = random_numbers(threads.rank(), whole, type), same_part = at::zeros({count}, type);
        threads.reduce_scatter(same, same_part);
        threads.all_reduce(same);
        expect_equal(same, sum, "all_reduce of threads");
        if (threads.rank() == rank()) expect_equal(same_part, part, "reduce_scatter of threads");
      });
    }
  }
}

TEST_P(CommunicatorTest, AllReduceRepeatsItsBits) {
  for (const int64_t count : {int64_t{700}, std::min<int64_t>(longest(), 100003)}) {
    const at::Tensor input = random_numbers(rank(), count, at::kFloat);
    at::Tensor first;
    for (int repeat = 0; repeat < 20; ++repeat) {
      const at::Tensor tensor = place(input).clone();
      communicator_->all_reduce(tensor);
      if (repeat == 0) first = tensor;
      ASSERT_TRUE(at::equal(tensor, first)) << "repeat " << repeat << ", " << count << " elements";
    }
    // And the same bits on all ranks: replicas must not drift apart.
    const at::Tensor all = at::zeros({size(), count}, first.options());
    communicator_->all_gather(first, all);
    for (int from = 0; from < size(); ++from) EXPECT_TRUE(at::equal(all[from], first)) << from;
  }
}

TEST_P(CommunicatorTest, AllReduceDoesNotDependOnTheMessagesLayout) {
  if (!exact_order()) GTEST_SKIP() << "NCCL chooses the order by the size of the message";
  const at::Tensor whole = random_numbers(rank(), 9000, at::kFloat), pieces = whole.clone();
  communicator_->all_reduce(whole);
  for (int64_t begin = 0; begin < 9000; begin += 1700)
    communicator_->all_reduce(pieces.slice(0, begin, std::min<int64_t>(9000, begin + 1700)));
  EXPECT_TRUE(at::equal(whole, pieces));
}

TEST_P(CommunicatorTest, Broadcast) {
  for (const auto type : kTypes) {
    for (const int64_t count : sizes()) {
      const int root = static_cast<int>(count % size());
      const at::Tensor tensor = place(whole_numbers(rank(), count, type));
      communicator_->broadcast(tensor, root);
      expect_equal(tensor, whole_numbers(root, count, type), "broadcast");
    }
  }
}

TEST_P(CommunicatorTest, AllGather) {
  for (const auto type : kTypes) {
    for (const int64_t count : sizes()) {
      std::vector<at::Tensor> parts;
      for (int from = 0; from < size(); ++from) parts.push_back(whole_numbers(from, count, type));
      const at::Tensor output = place(at::zeros({size() * count}, type));
      communicator_->all_gather(place(whole_numbers(rank(), count, type)), output);
      expect_equal(output, at::cat(parts), "all_gather");
      // The input may be this rank's part of the output.
      const at::Tensor in_place = place(at::zeros({size() * count}, type));
      const at::Tensor own = in_place.slice(0, rank() * count, (rank() + 1) * count);
      own.copy_(whole_numbers(rank(), count, type));
      communicator_->all_gather(own, in_place);
      expect_equal(in_place, at::cat(parts), "all_gather in place");
    }
  }
}

TEST_P(CommunicatorTest, AllGatherOfDifferentCounts) {
  for (const auto type : kTypes) {
    for (const int64_t unit : {0, 1, 3, 17, 5003}) {
      std::vector<at::Tensor> parts;
      std::vector<int64_t> counts;
      for (int from = 0; from < size(); ++from) {
        counts.push_back(unit * ((from + 1) % 3));  // one rank of three has nothing
        parts.push_back(whole_numbers(from, counts.back(), type));
      }
      const at::Tensor output = place(at::zeros({std::accumulate(counts.begin(), counts.end(), int64_t{0})}, type));
      communicator_->all_gather_v(place(parts[rank()]), output, counts);
      expect_equal(output, at::cat(parts), "all_gather_v");
    }
  }
}

TEST_P(CommunicatorTest, ReduceScatter) {
  for (const auto type : kTypes) {
    for (const int64_t count : sizes()) {
      const at::Tensor output = place(at::zeros({count}, type));
      communicator_->reduce_scatter(place(whole_numbers(rank(), size() * count, type)), output);
      const auto share = [&](int from) { return whole_numbers(from, count, type, rank() * count); };
      expect_equal(output, sum_of(share, type), "reduce_scatter");
    }
  }
}

TEST_P(CommunicatorTest, ReduceScatterThenAllGatherIsAllReduce) {
  const int64_t count = 5003;
  const at::Tensor input = place(random_numbers(rank(), size() * count, at::kFloat));
  const at::Tensor share = input.slice(0, rank() * count, (rank() + 1) * count);
  const at::Tensor wanted = input.clone();
  communicator_->all_reduce(wanted);
  communicator_->reduce_scatter(input, share);  // into its own part
  communicator_->all_gather(share, input);
  if (exact_order()) {
    EXPECT_TRUE(at::equal(input, wanted));
  } else {
    EXPECT_TRUE(at::allclose(input, wanted, 1e-4, 10));
  }
}

TEST_P(CommunicatorTest, NobodyLeavesABarrierBeforeAllAreThere) {
  using Clock = std::chrono::steady_clock;  // one clock a machine
  for (int late = 0; late < size(); ++late) {
    if (rank() == late) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const int64_t entered = Clock::now().time_since_epoch().count();
    communicator_->barrier();
    const int64_t left = Clock::now().time_since_epoch().count();
    EXPECT_GE(left, communicator_->all_reduce_max({entered}).front());
  }
}

TEST_P(CommunicatorTest, ControlMessages) {
  EXPECT_TRUE(communicator_->all_reduce_max({}).empty());
  const int64_t big = int64_t{1} << 60, last = size() - 1;
  EXPECT_EQ(communicator_->all_reduce_max({rank(), -rank(), big + rank()}),
            (std::vector<int64_t>{last, 0, big + last}));
  EXPECT_EQ(communicator_->all_reduce_sum({1, rank(), -5}),
            (std::vector<int64_t>{size(), size() * last / 2, -5 * size()}));
}

TEST_P(CommunicatorTest, BytesOfAnyLength) {
  for (const size_t length : {0, 1, 13, 4000}) {
    const int root = static_cast<int>(length % size());
    std::string text(rank() == root ? length : 7, static_cast<char>('a' + rank()));
    communicator_->broadcast_bytes(text, root);
    EXPECT_EQ(text, std::string(length, static_cast<char>('a' + root)));
  }
}

TEST_P(CommunicatorTest, CountsWhatARingWouldSend) {
  const int64_t ranks = size();
  const auto sent_by = [&](const std::function<void()>& call) {
    const int64_t before = communicator_->bytes_sent();
    call();
    return communicator_->bytes_sent() - before;
  };
  const at::Tensor floats = place(at::ones({1200})), part = place(at::ones({1200 / ranks}));
  EXPECT_EQ(sent_by([&] { communicator_->all_reduce(floats); }), 2 * 4800 * (ranks - 1) / ranks);
  EXPECT_EQ(sent_by([&] { communicator_->broadcast(floats); }), 4800 * (ranks - 1) / ranks);
  EXPECT_EQ(sent_by([&] { communicator_->all_gather(part, floats); }), 4800 * (ranks - 1) / ranks);
  EXPECT_EQ(sent_by([&] { communicator_->reduce_scatter(floats, part); }), 4800 * (ranks - 1) / ranks);
  EXPECT_EQ(sent_by([&] { communicator_->barrier(); }), 0);
  EXPECT_EQ(sent_by([&] { communicator_->all_reduce_max({1, 2}); }), 2 * 16 * (ranks - 1) / ranks);
  EXPECT_EQ(communicator_->payload_bytes(), 4 * 4800 + 16);
}

TEST_P(CommunicatorTest, TheTraceTellsWhereARankStands) {
  const int64_t before = communicator_->trace().number;
  communicator_->all_reduce(place(at::ones({3})));
  communicator_->all_reduce(place(at::ones({0})));  // no message
  communicator_->barrier();
  EXPECT_EQ(communicator_->trace().number, before + 2);
  EXPECT_STREQ(communicator_->trace().name, "barrier");
  EXPECT_FALSE(communicator_->trace().inside);
  communicator_->synchronize();
}

INSTANTIATE_TEST_SUITE_P(Backends, CommunicatorTest,
                         testing::Values(Backend{"local"}, Backend{"mpi"}, Backend{"mpi", 1500}, Backend{"mpi", 1030},
                                         Backend{"mpi", 97}, Backend{"nccl"}),
                         [](const auto& backend) {
                           const int64_t limit = backend.param.chunk_elements;
                           return backend.param.name + (limit < 10000 ? "_pieces_of_" + std::to_string(limit) : "");
                         });

}  // namespace
}  // namespace hyperx::comm
