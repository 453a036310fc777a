#pragma once

#include <string>
#include <vector>

namespace hyperx::comm {

// Which rank this process is, and which others take part. The default is a single process.
struct RankInfo {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the ranks that share this machine's memory
  int local_size = 1;
  std::vector<std::string> hosts = {"localhost"};  // [size] by rank
  std::string job;  // identifies this start of the program: equal on all its ranks, never reused by another start

  const std::string& host() const { return hosts.at(rank); }
};

}  // namespace hyperx::comm
