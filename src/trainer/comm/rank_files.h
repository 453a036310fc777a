#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/comm/rank_info.h"

namespace hyperx::comm {

// What one rank last said about itself.
struct RankState {
  std::string job;
  int rank = 0;
  std::string host;
  std::string section;
  int64_t step = -1;
  int64_t collective = 0;       // number of the latest collective
  std::string collective_name;  // and its name
  bool inside = false;          // has not returned from it
  int64_t written_seconds = 0;  // since 1970, by the writer's clock
};

std::string format_rank_state(const RankState& state);               // one line
std::optional<RankState> parse_rank_state(const std::string& text);  // nothing: torn or of another version

// Names whom the others wait for, from the last word of every rank ([size]; nothing: no file of this job). All ranks
// make the same collectives in the same order, so it is the ranks with the lowest number. `stale_seconds`: a word older
// than that is told.
std::string describe_laggards(const std::vector<std::optional<RankState>>& states,
                              const std::vector<std::string>& hosts, int64_t now_seconds, int64_t stale_seconds);

// A file a rank, `rank-K.alive`, in a folder that all ranks see: how a rank whose main thread is stuck tells the others
// where, without MPI. Errors are not thrown: a full disk must not end a run that would go on without these files.
class RankFiles {
 public:
  RankFiles() = default;                         // no folder: nothing is written, nobody is known
  RankFiles(std::string folder, RankInfo info);  // makes the folder; UserError (73)
  bool publish(const RankState& state) const;    // false: could not be written
  std::vector<std::optional<RankState>> read_all() const;
  bool claim_report()
      const;  // true on one rank of a job only, the first that asks: it reports. Without a folder: always
  void remove_own() const;

 private:
  std::string path_of(int rank) const;

  std::string folder_;
  RankInfo info_;
};

}  // namespace hyperx::comm
