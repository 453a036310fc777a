#pragma once

#include <mpi.h>

#include <chrono>
#include <string>
#include <vector>

#include "model/comm/rank_info.h"

namespace hyperx::comm {

// MPI from start to end of the program; main owns one, constructed before everything that communicates. Without a
// launcher MPI is not started at all: Open MPI would fork a daemon for a single process, and fail where there is no
// ssh.
class MpiSession {
 public:
  // UserError (64): the launcher's processes do not see each other (check_launch). SystemError: MPI without FUNNELED.
  MpiSession();
  // Calls MPI_Finalize once, or MPI_Abort if an exception is propagating or all_arrive() failed, because other ranks
  // might never call it.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  const RankInfo& info() const { return info_; }
  int rank() const { return info_.rank; }
  int size() const { return info_.size; }
  bool launched() const { return launched_; }  // false: a single process, world() must not be used
  MPI_Comm world() const { return world_; }    // our duplicate of MPI_COMM_WORLD, MPI_ERRORS_RETURN
  std::string library() const;                 // "Open MPI v4.1.4"; works without a launcher too

  // True once all ranks have called it. False if one has not within `limit`; the caller can then only call abort().
  bool all_arrive(std::chrono::milliseconds limit);
  // Collective: every rank's text, by rank.
  std::vector<std::string> gather_texts(const std::string& text) const;

  // Ends all ranks with this code, which mpirun returns. Without a launcher: ends this process.
  [[noreturn]] void abort(int code) const;
  void finalize();

 private:
  void learn_ranks();

  bool launched_ = false;
  bool finalized_ = false;
  bool rank_missing_ = false;
  int exceptions_at_start_ = 0;
  MPI_Comm world_ = MPI_COMM_NULL;
  MPI_Comm arrival_ = MPI_COMM_NULL;  // only for all_arrive(), so that no other message interferes
  RankInfo info_;
};

}  // namespace hyperx::comm
