#pragma once

#include <string>

#include "trainer/doctor/facts.h"

namespace hyperx::doctor {

// Tries the folder in which runs will lie, in a folder within it that is removed at the end. The first host begins it
// and holds locks while all hosts (it, too) call try_disk(). None of the functions throws: what fails is a fact.
class DiskTrial {
 public:
  // `job` is the same on all hosts, and of this start only. `first`: this is the first host.
  DiskTrial(const std::string& folder, const std::string& job, bool first);
  ~DiskTrial();  // the first host: gives up the locks and removes the folder
  DiskTrial(const DiskTrial&) = delete;
  DiskTrial& operator=(const DiskTrial&) = delete;

  // Call it when the first host has begun. `bytes`: of the large file.
  DiskFacts try_disk(int64_t bytes) const;

 private:
  std::string begin();

  const std::string folder_, trial_;
  const bool first_;
  std::string problem_;  // of begin()
  int flock_fd_ = -1, record_fd_ = -1;
};

}  // namespace hyperx::doctor
