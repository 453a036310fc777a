#include "tests/trainer/tiny_training.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <sstream>

#include "common/files.h"
#include "common/log.h"
#include "data/corpus/prepare.h"
#include "trainer/trainer.h"

namespace hyperx::train {
namespace {

constexpr int64_t kVocabulary = 77;  // of write_letter_vocabulary()

// The words of CoNLL-U sentences with tags of entities, those of a person for nouns.
std::string tagged_of(const std::string& conllu) {
  std::istringstream lines(conllu);
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream columns(line);
    std::string number, word, lemma, tag;
    columns >> number >> word >> lemma >> tag;
    text += line.empty() ? "\n" : word + "\t" + (tag == "NOUN" ? "B-PER" : tag == "VERB" ? "B-LOC" : "O") + "\n";
  }
  return text;
}

data::Corpus prepare_corpus(const data::test::TemporaryFolder& folder, const std::vector<std::string>& more) {
  using namespace data::test;
  write_letter_vocabulary(folder);
  folder.write("aa.conllu", random_conllu(40, 1));
  folder.write("aa.dev.conllu", random_conllu(11, 2));
  folder.write("bb.conllu", random_conllu(23, 3));
  folder.write("bb.dev.conllu", random_conllu(7, 4));
  folder.write("aa.tagged", tagged_of(random_conllu(31, 5)));
  folder.write("aa.dev.tagged", tagged_of(random_conllu(9, 6)));
  folder.write("bb.txt", random_text(35, 7));
  folder.write("bb.dev.txt", random_text(8, 8));
  std::vector<std::string> lines = {"pos aa train conllu aa.conllu", "pos aa dev conllu aa.dev.conllu",
                                    "pos bb train conllu bb.conllu", "pos bb dev conllu bb.dev.conllu",
                                    "ner aa train tagged aa.tagged", "ner aa dev tagged aa.dev.tagged",
                                    "mlm bb train text bb.txt",      "mlm bb dev text bb.dev.txt"};
  lines.insert(lines.end(), more.begin(), more.end());
  write_manifest(folder, lines);
  data::prepare(options_of(folder));
  return data::Corpus::open(folder.path("corpus"));
}

model::EncoderWeights seeded_encoder() {
  at::set_num_threads(1);  // of every thread that is a rank
  at::manual_seed(5);
  return tiny_encoder(kVocabulary);
}

std::vector<data::Pair> train_pairs(const TinyData& data, const Config& config) {
  return data::select_pairs(config.train.pairs, data.corpus.pairs_with("train"), "train.pairs");
}

Values copies(const model::NamedTensors& tensors) {
  Values copied;
  for (const auto& [name, value] : tensors) copied[name] = value.detach().clone();
  return copied;
}

// What every rank holds whole.
Values own_values(const RankTraining& training) {
  if (training.config.parallel.generator != "sharded") return copies(training.model.parameters().named_values());
  Values dense;
  for (const auto& parameter : training.model.parameters().all())
    dense[parameter->name] = parameter->value.detach().clone();
  return dense;
}

double relative_gap(double a, double b) { return std::abs(a - b) / std::max(std::abs(a), 1e-30); }

}  // namespace

TinyData::TinyData(const std::vector<std::string>& more)
    : corpus(prepare_corpus(folder, more)), encoder(seeded_encoder()) {
  log::set_rank(1, 1);  // warnings only
}

Config tiny_training_config() {
  Config config = tiny_config();
  config.train.seed = 1;
  config.data.max_subwords = 24;
  config.train.pairs = "pos:*,ner:*,mlm:*";
  config.train.steps = 12;
  config.train.batch_sentences = 8;
  config.train.warmup_steps = 2;
  config.train.learning_rate = 1e-2;
  config.train.precision = "fp64";
  config.eval.every = 0;
  config.eval.batch_tokens = 60;
  config.checkpoint.every = 0;
  config.device = "cpu";
  config.threads = 1;
  return config;
}

ModelInfo tiny_info(const TinyData& data, const Config& config) {
  ModelInfo info;
  info.config = config;
  info.trained_pairs = train_pairs(data, config);
  std::set<std::string> tasks, languages;
  for (const data::Pair& pair : info.trained_pairs) {
    tasks.insert(pair.task);
    languages.insert(pair.base_language());
  }
  info.tasks = data::TaskSet::of({tasks.begin(), tasks.end()});
  info.languages.assign(languages.begin(), languages.end());
  info.encoder_source = "tiny";
  info.encoder_digest = known_digest("tiny");
  info.tokenizer_digest = data.corpus.index().tokenizer_digest;
  info.corpus_digest = data.corpus.digest();
  return info;
}

model::ModelOptions tiny_options(ModelInfo& info, comm::Communicator& ranks) {
  std::vector<model::TrainedRun> needed = load_needed_runs(info);
  return {info.config, info.tasks, info.languages,    compute_type(info.config.train.precision),
          at::kCPU,    &ranks,     std::move(needed), info.trained_pairs};
}

RankTraining::RankTraining(const TinyData& data, const Config& settings, comm::Communicator& communicator)
    : config(settings),
      ranks(communicator),
      info(tiny_info(data, config)),
      model(data.encoder, tiny_options(info, ranks)),
      mixture(make_mixture(data.corpus, info.trained_pairs, config.train)),
      maker(data.corpus, info.trained_pairs, "train", config.data.max_subwords, config.train.seed),
      optimizer(model.parameters(), update_options(config.train)),
      exchange(ranks, model.parameters()),
      step(config, ranks, model) {}

StepFigures::Result RankTraining::run(int64_t number) {
  const data::StepBatch batch =
      data::make_step(maker, mixture.plan(number),
                      {ranks.rank(), ranks.size(), exchange.share_mode(), config.train.micro_batch_tokens});
  std::vector<data::Pair> pairs;
  for (const data::DrawSummary& draw : batch.draws) pairs.push_back(maker.pairs()[static_cast<size_t>(draw.pair)]);
  return run_step(step, exchange, optimizer, batch, pairs, config.train.learning_rate);
}

namespace {

ExitCode train_rank(const TinyData& data, const Config& config, const RunDir& run, comm::Communicator& ranks,
                    const comm::StopRequest& stop, const std::optional<std::string>& resume_from, const Start& start) {
  ModelInfo info = tiny_info(data, config);
  model::Model model(data.encoder, tiny_options(info, ranks));
  start.change(model);
  comm::RankProgress progress;
  comm::Watchdog watchdog(ranks.info(), progress, {});
  const std::vector<data::Pair> pairs = info.trained_pairs;
  Trainer trainer({config, run, ranks, watchdog, stop, data.corpus, model, std::move(info), pairs, resume_from});
  return trainer.run();
}

}  // namespace

ExitCode train_run(const TinyData& data, const Config& config, const std::string& folder, const Start& start) {
  const RunDir run = open_run_dir(folder, start.resume);
  std::optional<std::string> resume_from;
  if (start.resume) resume_from = find_latest_whole(run.checkpoints()).folder;
  const comm::StopRequest stop;
  std::vector<ExitCode> codes(static_cast<size_t>(start.ranks));
  comm::ThreadRanks(start.ranks).run([&](comm::Communicator& inner) {
    const int rank = inner.rank();
    comm::WatchedCommunicator own(inner, [&](const comm::SeenCall& call) { start.hook(rank, call); });
    try {
      codes[static_cast<size_t>(rank)] = train_rank(data, config, run, own, stop, resume_from, start);
    } catch (...) {
      start.on_failure();
      throw;
    }
  });
  EXPECT_THAT(codes, testing::Each(codes.front()));
  return codes.front();
}

Values copied_values(RankTraining& training) {
  return copies(saved_values(training.model.parameters(), training.ranks));
}

Values copied_moments(RankTraining& training) {
  return copies(saved_moments(training.model.parameters(), training.ranks));
}

Trained train_on(int ranks, const TinyData& data, const Config& config) {
  Trained trained;
  std::vector<Values> held(static_cast<size_t>(ranks));
  comm::ThreadRanks(ranks).run([&](comm::Communicator& communicator) {
    RankTraining training(data, config, communicator);
    Trained own;
    for (int64_t step = 0; step < config.train.steps; ++step) {
      const StepFigures::Result result = training.run(step);
      own.losses.push_back(StepFigures(result, communicator).losses());
      own.norms.push_back(result.update.gradient_norm.item<double>());
    }
    own.bytes_sent = communicator.bytes_sent();
    own.values = copied_values(training);
    own.moments = copied_moments(training);
    own.counts = training.optimizer.counts();
    held[static_cast<size_t>(communicator.rank())] = own_values(training);
    if (communicator.rank() == 0) trained = std::move(own);
  });
  for (const Values& values : held)
    for (const auto& [name, value] : held[0])
      EXPECT_TRUE(at::equal(value, values.at(name))) << name << " differs between ranks";
  return trained;
}

Gap gap_between(const Values& a, const Values& b) {
  if (a.size() != b.size() || a.empty()) throw std::runtime_error("there are other tensors, or none");
  Gap gap;
  for (const auto& [name, value] : a) {
    const double largest = (value - b.at(name)).abs().max().item<double>();
    if (largest <= gap.largest) continue;  // false for NaN
    gap = {largest, name};
    if (std::isnan(largest)) break;
  }
  return gap;
}

double gap_between_figures(const Trained& a, const Trained& b) {
  if (a.losses.size() != b.losses.size() || a.losses.empty()) throw std::runtime_error("other steps, or none");
  double largest = 0;
  const auto add = [&](double first, double second) {
    const double gap = relative_gap(first, second);
    largest = std::isfinite(gap) ? std::max(largest, gap) : std::numeric_limits<double>::infinity();
  };
  for (size_t step = 0; step < a.losses.size(); ++step) {
    add(a.norms[step], b.norms[step]);
    for (size_t pair = 0; pair < a.losses[step].size(); ++pair) add(a.losses[step][pair], b.losses[step].at(pair));
  }
  return largest;
}

void expect_three_ranks_train_as_one(const TinyData& data, const Config& config) {
  const Trained one = train_on(1, data, config), three = train_on(3, data, config);
  EXPECT_LT(gap_between_figures(one, three), 1e-11);
  EXPECT_LT(gap_between(one.values, three.values).largest, 1e-9);
}

std::string content_of(const std::string& run, int64_t step) {
  const std::string checkpoint = RunDir{run}.checkpoints() + "/" + checkpoint_name(step) + "/";
  return read_file(checkpoint + kModelFile) + read_file(checkpoint + kOptimizerFile);
}

void expect_resumed_run_is_the_same(const TinyData& data, const Config& config, const std::string& folder) {
  Config whole = config, cut = config;
  whole.train.schedule = cut.train.schedule = "constant";
  cut.train.steps = 5;
  train_run(data, whole, folder + "/whole", {.ranks = 2});
  train_run(data, cut, folder + "/cut", {.ranks = 2});
  train_run(data, whole, folder + "/cut", {.ranks = 2, .resume = true});
  EXPECT_TRUE(content_of(folder + "/cut", config.train.steps) == content_of(folder + "/whole", config.train.steps));
}

}  // namespace hyperx::train
