#pragma once

#include <string>
#include <vector>

#include "trainer/doctor/facts.h"

// One function per check: facts of all ranks in, findings out. None of them looks at the machine.
namespace hyperx::doctor {

enum class Level { kOk, kWarning, kWrong };
const char* level_word(Level level);  // "ok", "warning", "wrong"

struct Finding {
  Level level = Level::kOk;
  std::string check;   // "world size"
  std::string found;   // what was found
  std::string advice;  // what to do; empty for ok
};
using Findings = std::vector<Finding>;

Findings check_world(const JobFacts& job);     // ranks of the launcher and of MPI, ranks per host
Findings check_versions(const JobFacts& job);  // program and libraries equal on all ranks
Findings check_cores(const JobFacts& job);     // ranks that share cores, or are bound to one
Findings check_gpus(const JobFacts& job);      // visible, usable, driver, two ranks on one
Findings check_shared_memory(const JobFacts& job);
Findings check_memory(const JobFacts& job);  // limits of memory and open files
Findings check_disk(const JobFacts& job);    // free space, speed
Findings check_locks(const JobFacts& job);   // the folder is the same on all hosts; locks; exchange of names
Findings check_clocks(const JobFacts& job);
Findings check_speed(const JobFacts& job);  // all-reduce, links that are slower than others

// Findings "HOST: ..." that differ only in the host become one: "node1, node2: ...".
Findings join_hosts(Findings findings);

// All of them, in this order.
Findings check_all(const JobFacts& job);

}  // namespace hyperx::doctor
