#include "trainer/comm/mpi_session.h"

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <thread>

#include "common/errors.h"
#include "common/host.h"
#include "trainer/comm/launch_probe.h"
#include "trainer/comm/mpi_check.h"

namespace hyperx::comm {
namespace {

// Unique to this start: a process id may be reused, start times may coincide.
std::string new_job_name() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return host_name() + "-" + std::to_string(getpid()) + "-" +
         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

MPI_Comm duplicate_world() {
  MPI_Comm copy = MPI_COMM_NULL;
  HYPERX_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &copy));
  HYPERX_MPI(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN));
  return copy;
}

}  // namespace

MpiSession::MpiSession() : exceptions_at_start_(std::uncaught_exceptions()) {
  const LaunchProbe probe = probe_launch([](const char* name) -> const char* { return std::getenv(name); });
  info_.hosts = {host_name()};
  info_.job = new_job_name();
  if (!probe.process_manager) {
    check_launch(probe, 1);
    return;
  }
  int initialized = 0;
  HYPERX_MPI(MPI_Initialized(&initialized));
  if (initialized != 0) throw SystemError("MPI was started before: a program has one MpiSession", ExitCode::kBug);
  int granted = MPI_THREAD_SINGLE;
  HYPERX_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &granted));
  launched_ = true;
  try {
    if (granted < MPI_THREAD_FUNNELED) {
      throw SystemError(
          "this MPI library allows no threads beside it (MPI_THREAD_SINGLE): take one built with threads");
    }
    HYPERX_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    world_ = duplicate_world();
    arrival_ = duplicate_world();
    learn_ranks();
    check_launch(probe, size());
  } catch (...) {
    finalize();  // the destructor of a partly constructed object does not run
    throw;
  }
}

MpiSession::~MpiSession() {
  if (!launched_ || finalized_) return;
  if (size() > 1 && (rank_missing_ || std::uncaught_exceptions() > exceptions_at_start_))
    abort(static_cast<int>(ExitCode::kBug));
  finalize();
}

void MpiSession::learn_ranks() {
  HYPERX_MPI(MPI_Comm_rank(world_, &info_.rank));
  HYPERX_MPI(MPI_Comm_size(world_, &info_.size));
  MPI_Comm node = MPI_COMM_NULL;
  HYPERX_MPI(MPI_Comm_split_type(world_, MPI_COMM_TYPE_SHARED, info_.rank, MPI_INFO_NULL, &node));
  HYPERX_MPI(MPI_Comm_rank(node, &info_.local_rank));
  HYPERX_MPI(MPI_Comm_size(node, &info_.local_size));
  HYPERX_MPI(MPI_Comm_free(&node));
  info_.job = gather_texts(info_.job).front();
  info_.hosts = gather_texts(host_name());
}

std::vector<std::string> MpiSession::gather_texts(const std::string& text) const {
  if (!launched_) return {text};
  int length = static_cast<int>(text.size());
  std::vector<int> lengths(size()), starts(size());
  HYPERX_MPI(MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, world_));
  int total = 0;
  for (int rank = 0; rank < size(); ++rank) {
    starts[rank] = total;
    total += lengths[rank];
  }
  std::string all(total, '\0');
  HYPERX_MPI(
      MPI_Allgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), starts.data(), MPI_CHAR, world_));
  std::vector<std::string> texts;
  for (int rank = 0; rank < size(); ++rank) texts.push_back(all.substr(starts[rank], lengths[rank]));
  return texts;
}

bool MpiSession::all_arrive(std::chrono::milliseconds limit) {
  if (!launched_) return true;
  MPI_Request request = MPI_REQUEST_NULL;
  HYPERX_MPI(MPI_Ibarrier(arrival_, &request));
  const auto end = std::chrono::steady_clock::now() + limit;
  int arrived = 0;
  while (true) {
    HYPERX_MPI(MPI_Test(&request, &arrived, MPI_STATUS_IGNORE));
    if (arrived != 0) return true;
    if (std::chrono::steady_clock::now() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  rank_missing_ = true;
  return false;
}

std::string MpiSession::library() const {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  HYPERX_MPI(MPI_Get_library_version(text, &length));
  const std::string whole(text, length);
  return whole.substr(0, whole.find_first_of(",\n"));
}

void MpiSession::abort(int code) const {
  // MPI_Abort may return, or not work: the process must exit with the code in any case.
  if (launched_ && !finalized_) MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
}

void MpiSession::finalize() {
  if (!launched_ || finalized_) return;
  finalized_ = true;
  for (MPI_Comm* comm : {&arrival_, &world_}) {
    if (*comm != MPI_COMM_NULL) MPI_Comm_free(comm);
  }
  MPI_Finalize();  // errors are ignored: nothing can be done about them here, and a destructor calls this
}

}  // namespace hyperx::comm
