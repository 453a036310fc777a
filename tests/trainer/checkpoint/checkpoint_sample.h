#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/folder.h"
#include "trainer/checkpoint/checkpoint.h"

// A small checkpoint whose every value follows from its step, so that a mixture of two steps is noticed.
namespace hyperx::train {

struct SampleTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

class Sample {
 public:
  explicit Sample(int64_t step, int64_t rows = 700) : step_(step) {
    add(model_, "generators.weight", {rows, 192});
    add(model_, "embeddings.language.tr", {64});
    add(model_, "heads.pos.bias", {});
    add(optimizer_, "generators.weight.m", {rows, 192});
    add(optimizer_, "generators.weight.v", {rows, 192});
  }

  // Borrows from this object.
  CheckpointContent content() const {
    CheckpointContent content;
    content.step = step_;
    content.model = refs(model_);
    content.optimizer = refs(optimizer_);
    content.model_info = {{"labels", {{"pos", {"NOUN", "VERB"}}}}, {"config", "train.steps = 100\n"}};
    content.train_state = {{"step", step_}, {"cursor", step_ * 32}};
    content.manifest = {{"world_size", 2}, {"config", "run.dir = r\n"}};
    return content;
  }

  std::vector<TensorTarget> model_targets() { return targets(model_); }
  std::vector<TensorTarget> optimizer_targets() { return targets(optimizer_); }

  // Loads the checkpoint and compares every value with what its step says.
  static void expect_whole(const std::string& folder, int64_t rows = 700) {
    const Checkpoint checkpoint = Checkpoint::open(folder);
    Sample wanted(checkpoint.step(), rows), got(-1, rows);
    checkpoint.load_model(got.model_targets());
    checkpoint.load_optimizer(got.optimizer_targets());
    for (size_t i = 0; i < wanted.model_.size(); ++i) EXPECT_EQ(got.model_[i].values, wanted.model_[i].values);
    for (size_t i = 0; i < wanted.optimizer_.size(); ++i)
      EXPECT_EQ(got.optimizer_[i].values, wanted.optimizer_[i].values);
    EXPECT_EQ(checkpoint.train_state().at("cursor"), checkpoint.step() * 32);
    EXPECT_EQ(checkpoint.model_info(), wanted.content().model_info);
  }

  std::vector<SampleTensor> model_, optimizer_;

 private:
  void add(std::vector<SampleTensor>& list, const std::string& name, const std::vector<int64_t>& shape) {
    SampleTensor tensor{name, shape, {}};
    size_t count = 1;
    for (const int64_t extent : shape) count *= static_cast<size_t>(extent);
    tensor.values.resize(count);
    for (size_t i = 0; i < count; ++i)
      tensor.values[i] = static_cast<float>(step_) + 1e-3f * static_cast<float>(i % 997);
    list.push_back(std::move(tensor));
  }
  static std::vector<TensorRef> refs(const std::vector<SampleTensor>& list) {
    std::vector<TensorRef> result;
    for (const SampleTensor& tensor : list)
      result.push_back({tensor.name, h5::Type::kFloat32, tensor.shape, tensor.values.data()});
    return result;
  }
  static std::vector<TensorTarget> targets(std::vector<SampleTensor>& list) {
    std::vector<TensorTarget> result;
    for (SampleTensor& tensor : list)
      result.push_back({tensor.name, h5::Type::kFloat32, tensor.shape, tensor.values.data()});
    return result;
  }

  int64_t step_;
};

class FolderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  // Names in a folder, sorted, with blanks between.
  static std::string names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
    return text;
  }
  static void flip(const std::string& file, int64_t offset, char mask = 0x10) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(offset);
    const char byte = static_cast<char>(stream.get());
    stream.seekp(offset);
    stream.put(static_cast<char>(byte ^ mask));
  }
  // Writes one without a background thread.
  std::string write_now(const std::string& checkpoints, int64_t step, std::optional<double> score = std::nullopt) {
    const Sample sample(step);
    CheckpointContent content = sample.content();
    content.score = score;
    const std::string name = checkpoints + "/" + checkpoint_name(step);
    std::filesystem::create_directories(name + ".tmp");
    commit_checkpoint(name + ".tmp", name, content, write_checkpoint_files(name + ".tmp", content));
    return name;
  }

  // In memory: a busy disk's fsync would be most of these tests' time.
  test::TemporaryFolder folder_{test::TemporaryFolder::Where::kMemory};
};

}  // namespace hyperx::train
