#include "trainer/comm/mpi_communicator.h"

#include <cstring>

#include "common/errors.h"
#include "common/log.h"
#include "model/comm/rank_order_sum.h"
#include "trainer/comm/chunks.h"
#include "trainer/comm/mpi_check.h"

namespace hyperx::comm {
namespace {

constexpr int kExchangeTag = 1;

MPI_Datatype mpi_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    case at::kByte:
      return MPI_UINT8_T;
    case at::kBFloat16:
      return MPI_UINT16_T;  // MPI only transports it: we compute the sums
    default:
      HYPERX_CHECK(false, std::string("no messages of type ") + c10::toString(type));
  }
  return MPI_DATATYPE_NULL;
}

char* bytes_of(const at::Tensor& tensor) { return static_cast<char*>(tensor.data_ptr()); }

}  // namespace

MpiCommunicator::MpiCommunicator(const MpiSession& session, int64_t chunk_elements)
    : Communicator(session.info()), chunk_elements_(chunk_elements) {
  HYPERX_CHECK(session.launched(), "MPI was not started");
  HYPERX_CHECK(chunk_elements >= 1 && chunk_elements <= INT32_MAX, "MPI counts are ints");
  HYPERX_MPI(MPI_Comm_dup(session.world(), &comm_));
  HYPERX_MPI(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
}

MpiCommunicator::~MpiCommunicator() {
  const int code = MPI_Comm_free(&comm_);
  if (code != MPI_SUCCESS) log::write_warning("MPI_Comm_free failed with code " + std::to_string(code));
}

void MpiCommunicator::check_on_host(const at::Tensor& tensor) const {
  HYPERX_CHECK(tensor.is_cpu(), "the MPI communicator carries CPU tensors");
}

char* MpiCommunicator::scratch(size_t bytes) {
  if (scratch_.size() < bytes) scratch_.resize(bytes);
  return scratch_.data();
}

void MpiCommunicator::do_broadcast(at::Tensor& tensor, int root) {
  check_on_host(tensor);
  char* const values = bytes_of(tensor);
  const size_t width = tensor.element_size();
  for_each_chunk(tensor.numel(), chunk_elements_, [&](int64_t offset, int length) {
    HYPERX_MPI(MPI_Bcast(values + offset * width, length, mpi_type(tensor.scalar_type()), root, comm_));
  });
}

void MpiCommunicator::do_all_reduce(at::Tensor& tensor) {
  check_on_host(tensor);
  char* const values = bytes_of(tensor);
  const size_t width = tensor.element_size();
  for_each_chunk(tensor.numel(), chunk_elements_, [&](int64_t offset, int length) {
    if (length <= kGatherElements) {
      sum_gathered(values + offset * width, length, tensor.scalar_type());
    } else {
      sum_shared(values + offset * width, length, tensor.scalar_type());
    }
  });
}

void MpiCommunicator::sum_gathered(char* values, int count, at::ScalarType type) {
  const size_t bytes = count * at::elementSize(type);
  char* const all = scratch(bytes * size());
  HYPERX_MPI(MPI_Allgather(values, count, mpi_type(type), all, count, mpi_type(type), comm_));
  std::vector<const void*> parts;
  for (int from = 0; from < size(); ++from) parts.push_back(all + from * bytes);
  sum_in_rank_order(type, parts, values, count);
}

void MpiCommunicator::sum_shared(char* values, int count, at::ScalarType type) {
  const size_t width = at::elementSize(type);
  std::vector<const char*> sends(size());
  std::vector<int> lengths(size()), starts(size());
  for (int share = 0; share < size(); ++share) {
    starts[share] = static_cast<int>(int64_t{count} * share / size());
    lengths[share] = static_cast<int>(int64_t{count} * (share + 1) / size()) - starts[share];
    sends[share] = values + starts[share] * width;
  }
  exchange_and_sum(sends, lengths, type, values + starts[rank()] * width);
  HYPERX_MPI(
      MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, lengths.data(), starts.data(), mpi_type(type), comm_));
}

void MpiCommunicator::exchange_and_sum(const std::vector<const char*>& sends, const std::vector<int>& lengths,
                                       at::ScalarType type, char* sum) {
  const int own_length = lengths[rank()];
  const size_t bytes = own_length * at::elementSize(type);
  char* const received = scratch(bytes * size());
  std::vector<const void*> parts(size());
  parts[rank()] = sends[rank()];
  std::vector<MPI_Request> requests;
  for (int step = 1; step < size(); ++step) {
    const int from = (rank() - step + size()) % size();
    parts[from] = received + from * bytes;
    requests.push_back(MPI_REQUEST_NULL);
    HYPERX_MPI(
        MPI_Irecv(received + from * bytes, own_length, mpi_type(type), from, kExchangeTag, comm_, &requests.back()));
  }
  for (int step = 1; step < size(); ++step) {  // each rank starts with a different receiver
    const int to = (rank() + step) % size();
    requests.push_back(MPI_REQUEST_NULL);
    HYPERX_MPI(MPI_Isend(sends[to], lengths[to], mpi_type(type), to, kExchangeTag, comm_, &requests.back()));
  }
  HYPERX_MPI(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE));
  sum_in_rank_order(type, parts, sum, own_length);
}

void MpiCommunicator::do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) {
  check_on_host(output);
  const size_t width = output.element_size();
  const MPI_Datatype type = mpi_type(output.scalar_type());
  std::vector<int64_t> starts(size());
  for (int from = 1; from < size(); ++from) starts[from] = starts[from - 1] + counts[from - 1];
  char* const all = bytes_of(output);
  char* const own = all + starts[rank()] * width;
  if (input.numel() > 0 && bytes_of(input) != own) std::memmove(own, input.data_ptr(), input.numel() * width);
  if (output.numel() <= chunk_elements_) {
    const std::vector<int> lengths(counts.begin(), counts.end()), offsets(starts.begin(), starts.end());
    HYPERX_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, lengths.data(), offsets.data(), type, comm_));
    return;
  }
  for (int from = 0; from < size(); ++from) {  // offsets may exceed INT_MAX: rank by rank, in pieces
    for_each_chunk(counts[from], chunk_elements_, [&](int64_t offset, int length) {
      HYPERX_MPI(MPI_Bcast(all + (starts[from] + offset) * width, length, type, from, comm_));
    });
  }
}

void MpiCommunicator::do_reduce_scatter(const at::Tensor& input, at::Tensor& output) {
  check_on_host(output);
  const size_t width = output.element_size();
  for_each_chunk(output.numel(), std::max<int64_t>(1, chunk_elements_ / size()), [&](int64_t offset, int length) {
    std::vector<const char*> sends(size());
    for (int to = 0; to < size(); ++to) sends[to] = bytes_of(input) + (to * output.numel() + offset) * width;
    exchange_and_sum(sends, std::vector<int>(size(), length), output.scalar_type(), bytes_of(output) + offset * width);
  });
}

void MpiCommunicator::do_barrier() { HYPERX_MPI(MPI_Barrier(comm_)); }

void MpiCommunicator::do_reduce_control(std::vector<int64_t>& values, bool maximum) {
  for_each_chunk(static_cast<int64_t>(values.size()), chunk_elements_, [&](int64_t offset, int length) {
    HYPERX_MPI(
        MPI_Allreduce(MPI_IN_PLACE, values.data() + offset, length, MPI_INT64_T, maximum ? MPI_MAX : MPI_SUM, comm_));
  });
}

void MpiCommunicator::do_broadcast_bytes(std::string& bytes, int root) {
  auto length = static_cast<int64_t>(bytes.size());
  HYPERX_MPI(MPI_Bcast(&length, 1, MPI_INT64_T, root, comm_));
  bytes.resize(length);
  for_each_chunk(length, chunk_elements_, [&](int64_t offset, int count) {
    HYPERX_MPI(MPI_Bcast(bytes.data() + offset, count, MPI_CHAR, root, comm_));
  });
}

}  // namespace hyperx::comm
