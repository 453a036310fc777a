#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/tasks/result_file.h"
#include "tests/support/folder.h"

namespace hyperx::test {

// Run folders with settings and result files, as `train` and `evaluate` write them.
class SampleRuns {
 public:
  struct Score {
    std::string pair;
    double value = 0;
    bool trained = false;
    int64_t sentences = 100;
    std::string source = "UD@0123456789ab";
    std::string predictions = {};  // the file's text; empty: none
  };

  std::string path(const std::string& run = "") const { return folder_.path(run); }
  // Adds to a run, which it makes; `change` edits its settings.
  template <class Change>
  std::string add(const std::string& name, uint64_t seed, const std::vector<Score>& scores, Change change) {
    Config config;
    config.train.seed = seed;
    config.train.pairs = "pos:en";
    change(config);
    write(name, config, scores);
    return path(name);
  }
  std::string add(const std::string& name, uint64_t seed, const std::vector<Score>& scores) {
    return add(name, seed, scores, [](Config&) {});
  }
  std::string write_file(const std::string& name, const std::string& content) const {
    return folder_.write(name, content);
  }

 private:
  void write(const std::string& name, const Config& config, const std::vector<Score>& scores) const;
  TemporaryFolder folder_{TemporaryFolder::Where::kMemory};
};

}  // namespace hyperx::test
