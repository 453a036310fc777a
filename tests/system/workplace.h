#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/folder.h"
#include "tests/system/job.h"

namespace hyperx::testing_system {

using Options = std::map<std::string, std::string>;
using Tensors = std::map<std::string, std::vector<float>>;

// A temporary folder with a tiny encoder and the shipped sample prepared for it, and the program's commands on them.
class SystemTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // Of the suite: an encoder of 2 layers of 32 with the first part of mBERT's vocabulary, and the corpus.
  static std::string encoder() { return suite_->path("encoder"); }
  static std::string corpus() { return suite_->path("corpus"); }
  // Writes an encoder folder with the first `vocabulary` sub-words.
  static void write_encoder(const std::string& folder, int vocabulary, int layers = 2);
  static std::string sample(const std::string& file);  // of examples/sample/data

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  // `train` of run `name`: a tiny model, fp32, one thread; `options` replace or add keys.
  Arguments train_line(const std::string& name, const Options& options = {}) const;
  Outcome run(int ranks, const Arguments& arguments) const;
  // Trains to the end; fails the test where the exit code is not 0.
  void train(int ranks, const std::string& name, const Options& options = {}, const Arguments& more = {}) const;

  // Lines of metrics.jsonl with event "step", without their seconds. std::runtime_error: none.
  std::vector<nlohmann::json> steps(const std::string& name) const;
  // All lines but those of checkpoints, without their seconds. std::runtime_error: none.
  std::vector<nlohmann::json> history(const std::string& name) const;
  nlohmann::json state(const std::string& name) const;
  std::string log(const std::string& name) const;
  std::string checkpoint(const std::string& name, int64_t step) const;
  Tensors tensors(const std::string& name, int64_t step) const;
  // Bytes of a file of a checkpoint.
  std::string checkpoint_file(const std::string& name, int64_t step, const std::string& file) const;

 private:
  static std::unique_ptr<test::TemporaryFolder> suite_;  // its encoder and corpus, made once
  std::string folder_;
};

// Largest |a - b| / |a| of a value of all steps. std::runtime_error: none, other numbers of them, or other pairs.
double largest_relative_difference(const std::vector<nlohmann::json>& a, const std::vector<nlohmann::json>& b,
                                   const std::string& key);

// Largest absolute difference of two sets of tensors of the same names and sizes, and the root mean square of all.
struct Difference {
  double largest = 0, root_mean_square = 0;
  std::string where;
};
Difference difference(const Tensors& a, const Tensors& b);

size_t line_count(const std::string& text);

}  // namespace hyperx::testing_system
