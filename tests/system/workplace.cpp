#include "tests/system/workplace.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "common/files.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_dir.h"

namespace hyperx::testing_system {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kVocabulary = 12000;

const std::string kSource = HYPERX_SOURCE_DIR;

// Fewer sentences to train on than the sample has, and all of its test sentences.
std::string manifest_text() {
  std::istringstream lines(read_file(kSource + "/examples/sample/manifest.tsv"));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const bool cut = line.find("\ttrain\t") != std::string::npos && line.rfind("mlm", 0) != 0;
    text += (cut ? line.substr(0, line.find(";limit=")) + ";limit=600" : line) + "\n";
  }
  return text;
}

void require_success(const Outcome& outcome, const std::string& what) {
  if (outcome.code != 0)
    throw std::runtime_error(what + " ended with " + std::to_string(outcome.code) + ": " + outcome.errors);
}

std::vector<json> events(const std::string& file) {
  std::istringstream lines(read_file(file));
  std::vector<json> events;
  for (std::string line; std::getline(lines, line);) {
    events.push_back(json::parse(line));
    events.back().erase("seconds");
  }
  return events;
}

// Throws if none is left: a loop over no events would pass whatever the program does.
std::vector<json> events_without(const std::string& file, const std::function<bool(const json&)>& dropped) {
  std::vector<json> all = events(file);
  std::erase_if(all, dropped);
  if (all.empty()) throw std::runtime_error(file + " holds nothing to compare");
  return all;
}

// NaN is larger than all numbers; std::max would drop it.
double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }

}  // namespace

std::unique_ptr<test::TemporaryFolder> SystemTest::suite_;

void SystemTest::write_encoder(const std::string& folder, int vocabulary, int layers) {
  make_folders(folder);
  const std::string from = kSource + "/examples/encoder";
  fs::copy_file(from + "/tokenizer_config.json", folder + "/tokenizer_config.json");
  json config = json::parse(read_file(from + "/config.json"));
  config["hidden_size"] = 32;
  config["intermediate_size"] = 64;
  config["num_attention_heads"] = 2;
  config["num_hidden_layers"] = layers;
  config["vocab_size"] = vocabulary;
  write_file_atomically(folder + "/config.json", config.dump(1));
  std::istringstream words(read_file(from + "/vocab.txt"));
  std::string text, word;
  for (int i = 0; i < vocabulary && std::getline(words, word); ++i) text += word + "\n";
  write_file_atomically(folder + "/vocab.txt", text);
}

void SystemTest::SetUpTestSuite() {
  for (const auto& [name, value] : {std::pair{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                                    {"OMPI_MCA_mpi_yield_when_idle", "1"},
                                    {"OMPI_MCA_hwloc_base_binding_policy", "none"},
                                    {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
                                    {"OMP_NUM_THREADS", "1"}})
    setenv(name, value, 1);
  suite_ = std::make_unique<test::TemporaryFolder>();
  write_encoder(encoder(), kVocabulary);
  const std::string manifest = suite_->write("manifest.tsv", manifest_text());
  require_success(Job(0,
                      {"prepare", manifest, "--data.root", kSource + "/examples/sample", "--data.corpus", corpus(),
                       "--model.encoder", encoder()},
                      suite_->path())
                      .wait(),
                  "prepare");
}

void SystemTest::TearDownTestSuite() { suite_.reset(); }

void SystemTest::SetUp() {
  folder_ = suite_->path() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  make_folders(folder_);
}

void SystemTest::TearDown() { fs::remove_all(folder_); }

std::string SystemTest::sample(const std::string& file) { return kSource + "/examples/sample/data/" + file; }

Arguments SystemTest::train_line(const std::string& name, const Options& options) const {
  Options all = {{"run.dir", path(name)},
                 {"data.corpus", corpus()},
                 {"model.encoder", "random:" + encoder()},
                 {"hyperx.adapter_dim", "8"},
                 {"train.pairs", "pos:en,pos:mt,ner:en,ner:tr,mlm:en"},
                 {"train.steps", "12"},
                 {"train.batch_sentences", "12"},
                 {"train.warmup_steps", "2"},
                 {"train.learning_rate", "1e-3"},
                 {"train.precision", "fp32"},
                 {"eval.every", "0"},
                 {"checkpoint.every", "0"},
                 {"device", "cpu"},
                 {"threads", "1"}};
  if (options.contains("model.method")) all.erase("hyperx.adapter_dim");
  for (const auto& [key, value] : options) all[key] = value;
  Arguments line = {"train"};
  for (const auto& [key, value] : all) line.insert(line.end(), {"--" + key, value});
  return line;
}

Outcome SystemTest::run(int ranks, const Arguments& arguments) const { return Job(ranks, arguments, folder_).wait(); }

void SystemTest::train(int ranks, const std::string& name, const Options& options, const Arguments& more) const {
  Arguments line = train_line(name, options);
  line.insert(line.end(), more.begin(), more.end());
  require_success(run(ranks, line), "train " + name);
}

std::vector<json> SystemTest::steps(const std::string& name) const {
  return events_without(path(name) + "/metrics.jsonl", [](const json& event) { return event.at("event") != "step"; });
}

std::vector<json> SystemTest::history(const std::string& name) const {
  return events_without(path(name) + "/metrics.jsonl",
                        [](const json& event) { return event.at("event") == "checkpoint"; });
}

json SystemTest::state(const std::string& name) const { return json::parse(read_file(path(name) + "/state.json")); }
std::string SystemTest::log(const std::string& name) const { return read_file(path(name) + "/train.log"); }

std::string SystemTest::checkpoint(const std::string& name, int64_t step) const {
  return train::RunDir{path(name)}.checkpoints() + "/" + train::checkpoint_name(step);
}

Tensors SystemTest::tensors(const std::string& name, int64_t step) const {
  const train::Checkpoint from = train::Checkpoint::open(checkpoint(name, step));
  Tensors tensors;
  for (const h5::DatasetInfo& info : from.model_tensors()) {
    const std::vector<char> bytes = from.read_model_tensor(info.name);
    if (info.type != h5::Type::kFloat32) throw std::runtime_error(info.name + " is not fp32");
    std::vector<float>& values = tensors[info.name];
    values.resize(bytes.size() / sizeof(float));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(values.data()));
  }
  return tensors;
}

std::string SystemTest::checkpoint_file(const std::string& name, int64_t step, const std::string& file) const {
  return read_file(checkpoint(name, step) + "/" + file);
}

double largest_relative_difference(const std::vector<json>& a, const std::vector<json>& b, const std::string& key) {
  if (a.size() != b.size() || a.empty())
    throw std::runtime_error(fmt::format("{} and {} steps cannot be compared", a.size(), b.size()));
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].at("pair") != b[i].at("pair") || a[i].at("tokens") != b[i].at("tokens"))
      throw std::runtime_error("other pairs or tokens were drawn: " + a[i].dump() + " and " + b[i].dump());
    const double first = a[i].at(key), second = b[i].at(key);
    largest = larger(largest, std::abs(first - second) / std::max(std::abs(first), 1e-30));
  }
  return largest;
}

Difference difference(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size() || a.empty()) throw std::runtime_error("the checkpoints hold other tensors");
  Difference result;
  double squares = 0;
  size_t count = 0;
  for (const auto& [name, values] : a) {
    const std::vector<float>& others = b.at(name);
    if (values.size() != others.size()) throw std::runtime_error(name + " is of another size");
    count += values.size();
    for (size_t i = 0; i < values.size(); ++i) {
      const double gap = std::abs(static_cast<double>(values[i]) - others[i]);
      squares += gap * gap;
      if (gap > result.largest || std::isnan(gap)) result.where = name;
      result.largest = larger(result.largest, gap);
    }
  }
  result.root_mean_square = std::sqrt(squares / static_cast<double>(count));
  return result;
}

size_t line_count(const std::string& text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace hyperx::testing_system
