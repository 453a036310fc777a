#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/comm/rank_info.h"

namespace hyperx::comm {

// The latest published state of one rank.
struct RankState {
  std::string job;
  int rank = 0;
  std::string host;
  std::string section;
  int64_t step = -1;
  int64_t collective = 0;       // number of the latest collective
  std::string collective_name;  // and its name
  bool inside = false;          // the collective has not returned
  int64_t written_seconds = 0;  // since 1970, by the writer's clock
};

std::string format_rank_state(const RankState& state);               // one line
std::optional<RankState> parse_rank_state(const std::string& text);  // none: incomplete or of another version

// Names the ranks that the others wait for, from the latest state of every rank ([size]; none: no file of this job).
// All ranks make the same collectives in the same order, so these are the ranks with the lowest number. A state older
// than `stale_seconds` is mentioned as such.
std::string describe_laggards(const std::vector<std::optional<RankState>>& states,
                              const std::vector<std::string>& hosts, int64_t now_seconds, int64_t stale_seconds);

// One file per rank, `rank-K.alive`, in a folder that all ranks see. With it a rank whose main thread is stuck reports
// where, without MPI. Write errors are not thrown: a full disk must not end a run that could continue without these
// files.
class RankFiles {
 public:
  RankFiles() = default;                         // no folder: nothing is written or read
  RankFiles(std::string folder, RankInfo info);  // creates the folder; UserError (73)
  bool publish(const RankState& state) const;    // false: could not be written
  std::vector<std::optional<RankState>> read_all() const;
  bool claim_report()
      const;  // true for the first rank of a job that asks, and only for it: it reports. Without a folder: always true
  void remove_own() const;

 private:
  std::string path_of(int rank) const;

  std::string folder_;
  RankInfo info_;
};

}  // namespace hyperx::comm
