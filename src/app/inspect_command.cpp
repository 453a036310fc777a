#include <cmath>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>

#include "app/commands.h"
#include "common/errors.h"
#include "common/hdf5/hdf5_file.h"
#include "common/json.h"
#include "common/progress.h"
#include "common/read_error.h"
#include "common/text_table.h"
#include "data/corpus/corpus.h"
#include "model/options.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx {
namespace {

constexpr int64_t kBlockBytes = 8 << 20;  // tensors are read in pieces of about this size

double element(h5::Type type, const char* at) {
  const auto as = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return static_cast<double>(value);
  };
  switch (type) {
    case h5::Type::kFloat32:
      return as(float{});
    case h5::Type::kFloat64:
      return as(double{});
    case h5::Type::kInt16:
      return as(int16_t{});
    case h5::Type::kInt32:
      return as(int32_t{});
    case h5::Type::kInt64:
      return as(int64_t{});
    case h5::Type::kUInt8:
      return as(uint8_t{});
    case h5::Type::kUInt64:
      return as(uint64_t{});
    case h5::Type::kBFloat16: {  // the upper half of a float
      float value = 0;
      std::memcpy(reinterpret_cast<char*>(&value) + 2, at, 2);
      return value;
    }
  }
  HYPERX_CHECK(false, "unknown element type");
}

struct Summary {
  double squares = 0, least = INFINITY, most = -INFINITY;
  int64_t not_finite = 0;

  void add(h5::Type type, const std::vector<char>& bytes) {
    for (size_t at = 0; at < bytes.size(); at += h5::size_of(type)) {
      const double value = element(type, bytes.data() + at);
      if (!std::isfinite(value)) {
        ++not_finite;
        continue;
      }
      squares += value * value;
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }
};

Summary summarise(const h5::File& file, const h5::DatasetInfo& set) {
  Summary summary;
  if (set.element_count() == 0) return summary;
  const int64_t rows = set.shape.empty() ? 1 : set.shape[0];
  const int64_t row_bytes = set.byte_count() / rows;
  const int64_t step = std::max<int64_t>(1, kBlockBytes / row_bytes);
  std::vector<char> bytes;
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t count = std::min(step, rows - row);
    bytes.resize(static_cast<size_t>(count * row_bytes));
    if (set.shape.empty())
      file.read(set.name, set.type, bytes.data());
    else
      file.read_rows(set.name, set.type, row, count, bytes.data());
    summary.add(set.type, bytes);
  }
  return summary;
}

// Prints a file's tensors with statistics of their values; `prefix` is removed from their names.
void print_tensors(const h5::File& file, const std::string& prefix) {
  TextTable table({"name", "type", "shape", "norm", "least", "most", "not finite"});
  int64_t elements = 0, sets = 0;
  for (const h5::DatasetInfo& set : file.datasets()) {
    if (set.name.rfind(prefix, 0) != 0) continue;
    const Summary summary = summarise(file, set);
    const bool empty = set.element_count() == summary.not_finite;
    table.add({set.name.substr(prefix.size()), h5::name_of(set.type), shape_text(set.shape),
               number_text(std::sqrt(summary.squares)), empty ? "-" : number_text(summary.least),
               empty ? "-" : number_text(summary.most),
               summary.not_finite > 0 ? std::to_string(summary.not_finite) : ""});
    elements += set.element_count();
    ++sets;
  }
  std::cout << sets << " tensors, " << elements << " values\n";
  table.print(std::cout);
}

// Key and value of each "key = value" line.
std::map<std::string, std::string> config_lines(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || line[0] == '[' || equals == std::string::npos) continue;
    const auto trimmed = [](const std::string& part) {
      const size_t begin = part.find_first_not_of(" \t");
      return begin == std::string::npos ? std::string()
                                        : part.substr(begin, part.find_last_not_of(" \t\r") - begin + 1);
    };
    values[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return values;
}

void print_config_difference(const std::string& text) {
  std::map<std::string, std::string> defaults;
  for (const config::Option& option : model::options().options) defaults[option.key] = option.get(Config{});
  std::cout << "config, where it differs from the defaults:\n";
  TextTable table({"key", "value", "default"});
  bool any = false;
  for (const auto& [key, value] : config_lines(text)) {
    const auto found = defaults.find(key);
    if (found != defaults.end() && found->second == value) continue;
    table.add({key, value.empty() ? "(empty)" : value,
               found == defaults.end() ? "(not known to this program)"
               : found->second.empty() ? "(empty)"
                                       : found->second});
    any = true;
  }
  if (any)
    table.print(std::cout);
  else
    std::cout << "  nowhere\n";
}

std::string one_line(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const nlohmann::json& item : value) text += (text.empty() ? "" : " ") + one_line(item);
  return text;
}

// Nested objects are printed as "labels.pos: NOUN VERB"; long texts (a config) are printed elsewhere.
void print_info(const nlohmann::json& object, const std::string& prefix) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object())
      print_info(value, prefix + key + ".");
    else if (key != "config" || !value.is_string())
      std::cout << "  " << prefix << key << ": " << one_line(value) << "\n";
  }
}

void inspect_checkpoint(const std::string& run_or_checkpoint, bool with_optimizer) {
  const train::Checkpoint checkpoint = train::open_checkpoint(run_or_checkpoint);
  const train::Manifest& manifest = checkpoint.manifest();
  const JsonValue stored(checkpoint.folder(), manifest.all);
  std::cout << "checkpoint " << checkpoint.folder() << "\n  step " << checkpoint.step() << ", written by "
            << stored.text("program", "an unknown program") << ", " << stored.integer("world_size", 1) << " ranks";
  if (manifest.score) std::cout << ", score " << number_text(*manifest.score);
  std::cout << "\n";
  for (const auto& [name, entry] : manifest.files)
    std::cout << "  " << name << " " << format_bytes(static_cast<double>(entry.bytes)) << ", XXH128 " << entry.xxh128
              << "\n";
  if (!manifest.has_optimizer()) std::cout << "  no optimizer.h5: weights to evaluate or to start from\n";
  std::cout << "  whole: every byte agrees with the manifest\n\nmodel\n";
  print_info(checkpoint.model_info(), "");
  std::cout << "\n";
  if (stored.has("config")) {
    print_config_difference(stored["config"].text());
    std::cout << "\n";
  }
  std::cout << "model.h5: ";
  print_tensors(checkpoint.file(train::kModelFile), "tensors/");
  if (!manifest.has_optimizer()) return;
  std::cout << "\ntraining state\n";
  print_info(checkpoint.train_state(), "");
  if (!with_optimizer) return;
  std::cout << "\noptimizer.h5: ";
  print_tensors(checkpoint.file(train::kOptimizerFile), "tensors/");
}

void inspect_corpus(const std::string& folder) {
  const data::Corpus corpus = data::Corpus::open(folder);
  const data::CorpusIndex& index = corpus.index();
  std::cout << "corpus " << folder << "\n  digest " << corpus.digest() << "\n  tokeniser " << index.tokenizer_digest
            << ", " << index.vocabulary_size << " sub-words\n";
  for (const auto& [task, labels] : index.labels) {
    std::cout << "  labels of " << task << ":";
    for (const std::string& label : labels) std::cout << " " << label;
    std::cout << "\n";
  }
  TextTable table({"pair", "split", "sentences", "words", "sub-words", "file"});
  for (const data::PairEntry& pair : index.pairs)
    for (const data::SplitEntry& split : pair.splits)
      table.add({pair.pair.name(), split.name, std::to_string(split.counts.sentences),
                 std::to_string(split.counts.words), std::to_string(split.counts.subwords), pair.file});
  table.print(std::cout);
}

void inspect_h5(const std::string& path) {
  const h5::File file = h5::File::open(path);
  std::cout << path << ": ";
  print_tensors(file, "");
}

int run_inspect(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name a run, a checkpoint, a corpus or an HDF5 file");
  for (const std::string& object : line.objects) {
    if (kind_of(object) == PathKind::kFile)
      inspect_h5(object);
    else if (kind_of(object + "/" + data::kCorpusIndexName) != PathKind::kNothing)
      inspect_corpus(object);
    else
      inspect_checkpoint(object, line.has_flag("optimizer"));
  }
  return 0;
}

}  // namespace

Command inspect_command() {
  CommandSpec spec;
  spec.name = "inspect";
  spec.usage = "hyperx inspect RUN|CHECKPOINT|CORPUS|FILE.h5...";
  spec.summary = "shows what a checkpoint or a corpus holds";
  spec.help =
      "A RUN stands for its best checkpoint, or its latest. For a checkpoint it shows step, label sets, pairs, the\n"
      "configuration where it differs from the defaults, and each tensor with shape, norm and range.\n\n"
      "Example:\n"
      "  hyperx inspect runs/quick";
  spec.flags = {{"optimizer", "", "also the optimizer's tensors"}};
  return {spec, run_inspect};
}

}  // namespace hyperx
