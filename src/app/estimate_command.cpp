#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/progress.h"
#include "common/text_table.h"
#include "common/version.h"
#include "data/corpus/corpus.h"
#include "data/tokenizer/tokenizer.h"
#include "trainer/estimate/estimate.h"

namespace hyperx {
namespace {

using estimate::Setup;

std::vector<int> ranks_of(const CommandLine& line) {
  std::string text = line.flag("ranks", line.has_flag("gpu") ? "8,16,32,64,128,256,512,1024" : "1");
  std::vector<int> ranks;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    int number = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, number);
    if (error != std::errc() || stop != text.data() + end || number < 1)
      throw UserError(ExitCode::kUsage, "--ranks '" + text + "': numbers from 1 on, joined by commas, such as 8,16,32");
    ranks.push_back(number);
    begin = end + 1;
  }
  return ranks;
}

// Sub-words of one evaluation: of the eval.pairs that have the split and whose task and language are trained.
double evaluation_tokens(const data::Corpus& corpus, const EvalConfig& config, const std::set<std::string>& tasks,
                         const std::set<std::string>& languages) {
  double tokens = 0;
  std::vector<data::Pair> pairs = corpus.pairs_with(config.split);
  if (!config.pairs.empty()) pairs = data::select_pairs(config.pairs, pairs, "eval.pairs");
  for (const data::Pair& pair : pairs) {
    const data::SplitEntry* const split = corpus.entry(pair).find_split(config.split);
    if (split->counts.sentences == 0 || !tasks.contains(pair.task) || !languages.contains(pair.base_language()))
      continue;
    const double lines = static_cast<double>(split->counts.sentences);
    const double scored = config.limit > 0 ? std::min(lines, static_cast<double>(config.limit)) : lines;
    tokens += scored * (static_cast<double>(split->counts.subwords) / lines + data::kFrameTokens);
  }
  return tokens;
}

void take_corpus(const Config& config, Setup& setup) {
  const data::Corpus corpus = data::Corpus::open(config.data.corpus);
  const std::vector<data::Pair> pairs = data::select_pairs(config.train.pairs.empty() ? "*:*" : config.train.pairs,
                                                           corpus.pairs_with("train"), "train.pairs");
  std::set<std::string> tasks, languages;
  double batches = 0;
  for (const data::Pair& pair : pairs) {
    tasks.insert(pair.task);
    languages.insert(pair.base_language());
    const int64_t sentences = corpus.entry(pair).find_split("train")->counts.sentences;
    batches += static_cast<double>((sentences + config.train.batch_sentences - 1) / config.train.batch_sentences);
  }
  setup.model.tasks = corpus.tasks().only({tasks.begin(), tasks.end()});
  setup.model.languages = static_cast<int64_t>(languages.size());
  setup.step = estimate::step_of_corpus(corpus.index(), pairs, config);
  if (config.train.epochs > 0) setup.steps = config.train.epochs * batches / config.train.pairs_per_step;
  if (config.eval.every > 0) setup.evaluation_tokens = evaluation_tokens(corpus, config.eval, tasks, languages);
}

void take_defaults(const CommandLine& line, Setup& setup) {
  std::vector<std::string> names = data::TaskSet::all().names();
  if (line.config.train.pairs.empty())  // trees only where they are asked for: their head is as large as an encoder
    std::erase_if(names, [](const std::string& name) { return data::TaskSet::all().at(name).is_tree(); });
  const std::string first = names.front(), &pairs = line.config.train.pairs;
  std::erase_if(names,
                [&](const std::string& name) { return !pairs.empty() && pairs.find(name + ":") == std::string::npos; });
  setup.model.tasks = data::TaskSet::of(names.empty() ? std::vector{first} : names);
  setup.model.languages = line.count_flag("languages", 1);
  setup.step = estimate::step_by_default(setup.model.tasks, line.config.train);
}

// Sets rates, links and available memory.
void take_machine(const CommandLine& line, Setup& setup) {
  const bool gpu = line.has_flag("gpu");
  if (gpu && line.has_flag("machine"))
    throw UserError(ExitCode::kUsage, "--gpu and --machine both say what computes: give one of them");
  const std::string& precision = line.config.train.precision;
  const bool fast_bf16 = gpu || cpu_capability().find("AMX-BF16") != std::string::npos;
  setup.precision = precision == "bf16" || (precision == "auto" && fast_bf16) ? "bf16" : "fp32";
  if (gpu) setup.device = estimate::gpu_preset(line.flag("gpu"));
  if (line.has_flag("machine")) setup.device = estimate::measured_device(line.flag("machine"), setup.precision);
  const std::string usual = gpu ? estimate::usual_link(line.flag("gpu")) : "shared-memory";
  setup.link = estimate::link_preset(line.flag("link", usual));
  setup.network = estimate::link_preset(line.flag("network", gpu ? "ib-hdr200" : "eth-10"));
  setup.ranks_per_node = static_cast<int>(line.count_flag("gpus-per-node", 8));
  if (gpu)
    setup.memory_limit = setup.device->memory_bytes;
  else
    setup.memory_limit = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  if (line.has_flag("memory")) setup.memory_limit = 1e9 * line.number_flag("memory", 0);
}

Setup setup_of(const CommandLine& line) {
  const Config& config = line.config;
  if (config.model.encoder.empty())
    throw UserError(
        ExitCode::kUsage,
        "--model.encoder FOLDER is missing: the encoder whose config.json has the sizes (weights are not read)");
  Setup setup;
  setup.model.encoder =
      model::read_encoder_spec(model::encoder_folder(config.model.encoder), config.model.encoder_layers);
  setup.model.config = config;
  setup.steps = static_cast<double>(config.train.steps);
  if (config.data.corpus.empty())
    take_defaults(line, setup);
  else
    take_corpus(config, setup);
  take_machine(line, setup);
  return setup;
}

// The assumptions of the estimate, one per line.
std::vector<std::string> assumptions_of(const CommandLine& line, const Setup& setup) {
  std::vector<std::string> lines;
  const model::MethodCosts costs = estimate::method_costs(setup, 1);
  std::string blocks;
  for (const model::BlockCost& block : costs.blocks) blocks += fmt::format("{} {}, ", block.name, block.values);
  lines.push_back(fmt::format("model: {} trained values ({}layer norms and heads {}); products in {}",
                              format_count(static_cast<double>(trained_values(setup.model, costs))), blocks,
                              setup.model.shared_values(), setup.precision));
  lines.push_back(fmt::format("a step: {:.0f} pairs, {:.0f} sentences, {:.0f} tokens ({})", setup.step.pairs,
                              setup.step.sentences, setup.step.tokens,
                              line.config.data.corpus.empty()
                                  ? "assumed: sentences as in English EWT; give --data.corpus"
                                  : "from the counts of " + line.config.data.corpus));
  if (line.has_flag("gpu"))
    lines.push_back(fmt::format(
        "times are limits, never measured: a step takes at least what products take at {}'s bf16 rate, bytes at its "
        "memory's, and messages over {} within a node of {} and {} between nodes",
        setup.device->name, setup.link.name, setup.ranks_per_node, setup.network.name));
  else if (setup.device && setup.device->limits)
    lines.push_back("times are limits: " + setup.device->name +
                    " has no rates of a step; `hyperx-bench machine step --json FILE` measures them");
  else if (setup.device)
    lines.push_back("rates: " + setup.device->name +
                    ", so that this holds where it was measured; ranks have cores of their own");
  else
    lines.emplace_back(
        "no times without rates: give --machine FILE, written by `hyperx-bench machine step --json FILE`, or "
        "--gpu NAME");
  if (setup.device && line.config.data.corpus.empty() && line.config.eval.every > 0)
    lines.emplace_back("evaluation is not in the run's time: its size is known only with --data.corpus");
  return lines;
}

std::string milliseconds(double seconds) { return number_text(1e3 * seconds); }

void print_table(const Setup& setup, const std::vector<estimate::Row>& rows) {
  const bool gpu = setup.device && setup.device->gpu;
  TextTable table({"ranks", "nodes", "memory", "at saving", "exchange", "sent", "tokens", "products ms", "elements ms",
                   "generator ms", "exchange ms", "step ms", "steps/s", "run"});
  for (const estimate::Row& row : rows) {
    std::vector<std::string> cells = {std::to_string(row.ranks),
                                      std::to_string(row.nodes),
                                      format_bytes(row.memory.step()),
                                      format_bytes(row.peak_bytes(gpu)),
                                      row.exchange,
                                      format_bytes(row.bytes_sent),
                                      fmt::format("{:.0f}", row.tokens)};
    if (!setup.device) {
      cells.resize(14, "-");
    } else {
      for (const double seconds : {row.product_seconds + row.attention_seconds, row.element_seconds + row.rest_seconds,
                                   row.generator_seconds, row.exchange_seconds, row.step_seconds()})
        cells.push_back(milliseconds(seconds));
      cells.push_back(number_text(1 / row.step_seconds()));
      cells.push_back(format_duration(row.run_seconds));
    }
    table.add(cells);
  }
  table.print(std::cout, "");
}

void print_memory(const estimate::Row& row) {
  TextTable table({"memory of a rank", "bytes"});
  const estimate::Memory& memory = row.memory;
  const std::pair<const char*, double> parts[] = {{"program and LibTorch", memory.program},
                                                  {"encoder", memory.encoder},
                                                  {"the method's values with moments", memory.method},
                                                  {"generated adapters and their gradient", memory.generated},
                                                  {"layer norms and heads, four times", memory.shared},
                                                  {"activations", memory.activations},
                                                  {"rank 0's copy while it saves", memory.checkpoint},
                                                  {"a checkpoint on disk", memory.checkpoint}};
  for (const auto& [name, bytes] : parts) table.add({name, format_bytes(bytes)});
  table.print(std::cout, "");
}

nlohmann::json json_of(const Setup& setup, const std::vector<std::string>& assumptions,
                       const std::vector<estimate::Row>& rows) {
  const bool gpu = setup.device && setup.device->gpu;
  nlohmann::json list = nlohmann::json::array();
  for (const estimate::Row& row : rows) {
    const estimate::Memory& memory = row.memory;
    nlohmann::json item = {{"ranks", row.ranks},
                           {"nodes", row.nodes},
                           {"exchange", row.exchange},
                           {"tokens", row.tokens},
                           {"bytes_sent", row.bytes_sent},
                           {"memory",
                            {{"program", memory.program},
                             {"encoder", memory.encoder},
                             {"method", memory.method},
                             {"generated", memory.generated},
                             {"shared", memory.shared},
                             {"activations", memory.activations},
                             {"checkpoint_copy", memory.checkpoint}}},
                           {"memory_bytes", memory.step()},
                           {"peak_bytes", row.peak_bytes(gpu)},
                           {"checkpoint_bytes", memory.checkpoint},
                           {"notes", row.notes}};
    if (setup.device) {
      item["seconds"] = {{"products", row.product_seconds},    {"attention", row.attention_seconds},
                         {"elementwise", row.element_seconds}, {"generator", row.generator_seconds},
                         {"rest", row.rest_seconds},           {"exchange", row.exchange_seconds}};
      item["step_seconds"] = row.step_seconds();
      item["run_seconds"] = row.run_seconds;
    }
    list.push_back(std::move(item));
  }
  const model::MethodCosts costs = estimate::method_costs(setup, 1);
  nlohmann::json blocks = nlohmann::json::object();
  for (const model::BlockCost& block : costs.blocks) blocks[block.name] = block.values;
  return {{"assumptions", assumptions},
          {"trained_values", trained_values(setup.model, costs)},
          {"blocks", blocks},
          {"times_are_limits", setup.device.has_value() && setup.device->limits},
          {"rows", list}};
}

int run_estimate(const CommandLine& line) {
  if (!line.objects.empty())
    throw UserError(ExitCode::kUsage,
                    "estimate takes no object such as '" + line.objects[0] + "'; see `hyperx estimate --help`");
  const std::vector<int> ranks = ranks_of(line);
  const Setup setup = setup_of(line);
  std::vector<estimate::Row> rows;
  for (const int count : ranks) rows.push_back(estimate::estimate_row(setup, count));
  const std::vector<std::string> assumptions = assumptions_of(line, setup);
  for (const std::string& each : assumptions) std::cout << each << "\n";
  std::cout << "\n";
  print_table(setup, rows);
  std::cout << "\n";
  print_memory(rows.front());
  std::set<std::string> said;
  for (const estimate::Row& row : rows)
    for (const std::string& note : row.notes)
      if (said.insert(note).second) std::cout << (said.size() == 1 ? "\n" : "") << note << "\n";
  if (line.has_flag("json")) write_file_atomically(line.flag("json"), json_of(setup, assumptions, rows).dump(1) + "\n");
  return 0;
}

}  // namespace

Command estimate_command() {
  CommandSpec spec;
  spec.name = "estimate";
  spec.usage = "hyperx estimate --model.encoder FOLDER [--machine FILE | --gpu NAME] [--ranks LIST] [--KEY VALUE]...";
  spec.summary = "estimates memory, traffic and time of a training before it starts, and says what will not fit";
  spec.help =
      "Give it the settings that `hyperx train` will get; nothing is trained, weights are not read, no GPU is needed.\n"
      "  memory     memory of each process (rank) in a step; \"at saving\": rank 0, with its copy of the checkpoint\n"
      "  sent       bytes that a rank sends per step\n"
      "  products   matrix products and attention; elements: all else of the encoder; generator: the hypernetwork's "
      "own\n"
      "             passes; exchange: messages between ranks\n"
      "  run        all of train.steps with evaluation and checkpoints\n"
      "Times need rates. --machine FILE: those that `hyperx-bench machine step --json FILE` measured, best with the "
      "same\n"
      "encoder and threads. --gpu NAME: those of its data sheet, so that times are limits: no step takes less.\n"
      "With --data.corpus, sentence lengths and pairs are those of the corpus; without, sentences of 22 tokens are "
      "assumed.\n"
      "GPUs: " +
      fmt::format("{}\nlinks: {}", fmt::join(estimate::gpu_names(), ", "), fmt::join(estimate::link_names(), ", ")) +
      "; ib-ndr400x8: eight of them per node\n\n"
      "Example:\n"
      "  hyperx estimate --config configs/models/base.conf --model.encoder mbert --gpu h100 --network ib-ndr400x4";
  spec.key_prefixes = {"run.", "data.", "model.", "train.", "parallel.", "eval.", "checkpoint.", "threads"};
  spec.flags = {{"machine", "FILE", "rates measured by `hyperx-bench machine step --json FILE`"},
                {"gpu", "NAME", "rates of a GPU's data sheet"},
                {"link", "NAME", "between the ranks of a node (the GPU's usual one; shared-memory)"},
                {"network", "NAME", "between nodes, for each node (ib-hdr200 with --gpu, else eth-10)"},
                {"gpus-per-node", "N", "ranks per node (8)"},
                {"ranks", "LIST", "numbers of ranks, joined by commas (1; with --gpu 8,16,...,1024)"},
                {"memory", "GB", "memory of a GPU, or of a node (the preset's; this machine's)"},
                {"languages", "N", "languages of the model, if there is no corpus (1)"},
                {"json", "FILE", "the same figures for programs"}};
  return {spec, run_estimate};
}

}  // namespace hyperx
