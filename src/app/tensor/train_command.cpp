#include <algorithm>
#include <filesystem>
#include <optional>

#include "app/tensor/model_setup.h"
#include "app/tensor/rank_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/read_error.h"
#include "model/options.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/estimate/model_sizes.h"
#include "trainer/run/run_lock.h"
#include "trainer/run/start_over.h"
#include "trainer/trainer.h"

namespace hyperx {
namespace {

using train::RunDir;

void require(const std::string& value, const char* key, const char* what) {
  if (value.empty()) throw UserError(ExitCode::kBadConfig, std::string(key) + " is not set: " + what);
}

// Starts from another checkpoint's weights: tensors with the same name and shape are copied; the others keep their
// initial values and are listed.
void take_initial_weights(const std::string& from, model::Model& model, int rank) {
  const train::Checkpoint checkpoint = train::open_checkpoint(from);
  train::LoadReport report;
  train::load_values(model.parameters(), [&](const auto& targets) { report = checkpoint.load_model_partly(targets); });
  if (rank != 0) return;
  log::info("weights of {} taken", checkpoint.folder());
  for (const std::string& name : report.missing) log::warning("{} has no {}: it starts fresh", from, name);
  for (const std::string& name : report.unused) log::warning("{} of {} is not used", name, from);
}

// The state that an earlier start left, if any. UserError (74): it cannot be read now.
train::RunState state_before(const RunDir& run) {
  try {
    return train::read_run_state(run);
  } catch (const ReadError& error) {
    throw UserError(ExitCode::kIo, error.what());
  } catch (const UserError&) {
    return {};
  }
}

// The newest whole checkpoint of the run, agreed by all ranks; rank 0 sets damaged ones aside.
std::optional<std::string> find_resume_point(const RunDir& run, comm::Communicator& communicator) {
  const std::string folder = comm::on_rank_zero(communicator, [&] {
    const std::string found = train::take_resume_point(run.checkpoints());
    const std::string saved = found.empty() ? state_before(run).checkpoint : "";
    if (!saved.empty())
      throw train::nothing_to_resume(run.checkpoints(),
                                     "holds no checkpoint, but state.json says that " + saved + " was saved");
    return found;
  });
  return folder.empty() ? std::nullopt : std::optional<std::string>(folder);
}

// Only a start that takes a step changes the state of a run that has taken some.
bool has_state_to_keep(const RunDir& run) { return run.holds_run() && !state_before(run).started.empty(); }

std::vector<train::HostRow> host_rows(const comm::MpiSession& session, at::Device device, int threads) {
  const auto texts = session.gather_texts(std::to_string(session.info().local_rank) + "\t" + device.str() + "\t" +
                                          std::to_string(::getpid()) + "\t" + std::to_string(threads) + "\t" +
                                          train::cores_of_process());
  std::vector<train::HostRow> rows;
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    train::HostRow row;
    row.rank = static_cast<int>(rank);
    row.host = session.info().hosts.at(rank);
    char name[64] = "", cores[4096] = "";
    long pid = 0;
    if (std::sscanf(texts[rank].c_str(), "%d\t%63[^\t]\t%ld\t%d\t%4095s", &row.local_rank, name, &pid, &row.threads,
                    cores) != 5)
      throw SystemError("a rank described itself as '" + texts[rank] + "'");
    row.device = name;
    row.pid = pid;
    row.cores = cores;
    rows.push_back(row);
  }
  return rows;
}

// Records why the run failed, for `hyperx status`; not if another process has taken over the folder. A start that fails
// before its first step says nothing about a run that has taken steps.
void record_failure(const RunDir& run, const std::string& token, const comm::FailureReport& report) {
  if (train::RunLock::other_owner(run.lock(), token)) return;
  log::append_error(run.log(), fmt::format("rank {} on host {}, section {}: {}", report.rank, report.host,
                                           report.section, report.reason));
  try {
    if (report.step < 0 && has_state_to_keep(run)) return;
    train::RunState state = state_before(run);
    state.state = "failed";
    state.step = std::max(state.step, report.step - 1);  // the failed step is not done
    state.failure =
        train::RunFailure{report.rank, report.host, std::max<int64_t>(report.step, 0), report.section, report.reason};
    train::write_run_state(run, state);
  } catch (const std::exception& error) {  // the user must see the failure itself
    log::warning("the failure could not be recorded: {}", error.what());
  }
}

// The two settings whose default is decided once in the life of a run and stored as an explicit value.
struct Decided {
  std::string precision;  // empty: not decided yet
  int64_t warmup_steps = -1;
};

// Of the run that is resumed.
Decided decided_before(const std::string& checkpoint, comm::Communicator& communicator) {
  const std::string text = comm::on_rank_zero(communicator, [&] {  // opening compares every byte with its digest
    const TrainConfig saved = train::saved_run(train::Checkpoint::open(checkpoint)).config.train;
    return saved.precision + " " + std::to_string(saved.warmup_steps);
  });
  const size_t blank = text.find(' ');
  return {text.substr(0, blank), std::stoll(text.substr(blank + 1))};
}

constexpr int64_t kWarmupOneIn = 25;  // by default 4 % of the steps, as the paper's 4,000 of 100,000

int64_t steps_of(const TrainConfig& config, const data::Corpus& corpus, const std::vector<data::Pair>& pairs) {
  return config.epochs > 0 ? train::make_mixture(corpus, pairs, config).total_steps() : config.steps;
}

Config resolved_config(const Config& given, const std::optional<std::string>& resume_from, const data::Corpus& corpus,
                       const std::vector<data::Pair>& pairs, at::Device device, comm::Communicator& communicator) {
  Config config = given;
  const bool asks = given.train.precision == "auto" || given.train.warmup_steps < 0;
  const Decided decided = resume_from && asks ? decided_before(*resume_from, communicator) : Decided();
  const std::string& before = decided.precision;
  if (given.train.warmup_steps < 0)
    config.train.warmup_steps =
        decided.warmup_steps >= 0 ? decided.warmup_steps : steps_of(given.train, corpus, pairs) / kWarmupOneIn;
  config.train.precision = train::agreed_precision(given.train.precision, before, device, communicator);
  if (given.train.precision == "auto" && communicator.rank() == 0)
    log::info("train.precision = auto: {}{}", config.train.precision,
              before == config.train.precision ? ", as the run began" : "");
  return config;
}

// Said before it is tried: the system may end a process that uses more memory than there is. What a step takes besides
// depends on its sentences; `hyperx estimate` tells it.
void require_memory(const Config& config, const model::EncoderSpec& encoder, const train::ModelInfo& info, int ranks) {
  const estimate::ModelSizes sizes{encoder, info.tasks, std::ssize(info.languages), config};
  const double bytes = sizes.method_costs(ranks, config.train.pairs_per_step).state_bytes;
  const auto usable = static_cast<double>(usable_memory());
  if (bytes <= usable) return;
  const std::string& method = config.model.method;
  throw UserError(ExitCode::kIo,
                  fmt::format("values, gradients and moments of model.method = {} take {} on each rank, and this "
                              "process may use {} of memory: lower the sizes {}.*; `hyperx estimate` shows what fits",
                              method, format_bytes(bytes), format_bytes(usable), method));
}

int train_in(const CommandLine& line, comm::MpiSession& session, comm::Communicator& communicator, at::Device device,
             comm::Watchdog& watchdog, const comm::StopRequest& stop, const RunDir& run, int threads,
             const train::RunLock* lock) {
  const std::vector<train::HostRow> hosts = host_rows(session, device, threads);
  const std::optional<std::string> resume_from = find_resume_point(run, communicator);
  const data::Corpus corpus = open_corpus(line.config.data.corpus, communicator);
  const std::vector<data::Pair> pairs =
      data::select_pairs(line.config.train.pairs, corpus.pairs_with("train"), "train.pairs");
  const Config config = resolved_config(line.config, resume_from, corpus, pairs, device, communicator);
  if (communicator.rank() == 0) {
    std::vector<std::string> command_line = {"hyperx", line.command};
    command_line.insert(command_line.end(), line.arguments.begin(), line.arguments.end());
    nlohmann::json environment = train::describe_environment(command_line);
    environment["resolved"] = {
        {"precision", config.train.precision}, {"device", device.str()}, {"backend", communicator.backend()}};
    train::write_run_description(run, environment, hosts);
    for (const train::HostRow& row : hosts)
      log::info("rank {:<4} {}  {}  {} threads on cores {}", row.rank, row.host, row.device, row.threads, row.cores);
  }

  const model::EncoderWeights encoder = load_encoder_on_node(config, session);
  comm::on_rank_zero(communicator, [&] {
    check_tokenizer(corpus, config, encoder.spec);
    return std::string();
  });
  train::ModelInfo info = describe_model(config, corpus, pairs, encoder);
  if (device.is_cpu()) require_memory(config, encoder.spec, info, communicator.size());
  train::set_determinism(config.train, device);
  // Before each rank computes a digest of its own, to compare the runs with that the model is built on.
  const bool needs_runs = model::find_method_spec(config.model.method).needs != nullptr;
  if (needs_runs) info.encoder_digest = digest_of_node(encoder, session);
  model::ModelOptions options = model_options(info, device, communicator);
  options.steps = steps_of(config.train, corpus, pairs);
  model::Model model(encoder, std::move(options));
  if (communicator.rank() == 0)
    train::add_to_start(run, {{"resolved", {{"exchange", train::exchange_names(model.parameters())}}}});
  if (resume_from && !needs_runs) info.encoder_digest = digest_of_node(encoder, session);
  if (!resume_from && !config.train.init_from.empty())
    take_initial_weights(config.train.init_from, model, communicator.rank());
  train::Trainer trainer(
      {config, run, communicator, watchdog, stop, corpus, model, std::move(info), pairs, resume_from, lock});
  // Now that a resumed run has accepted these settings.
  if (communicator.rank() == 0)
    write_file_atomically(run.config(),
                          dump_config(model::options(), config::stored_config(model::options(), config, run.path)));
  return static_cast<int>(trainer.run());
}

}  // namespace

int run_train(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress,
              const comm::StopRequest& stop, comm::OnFailure& on_failure) {
  const Config& config = line.config;
  const bool resume = line.has_flag("resume"), restart = resume && line.flag("resume") == "restart";
  if (resume && !restart && line.flag("resume") != "auto")
    throw UserError(ExitCode::kUsage, "--resume '" + line.flag("resume") + "': it takes only auto or restart");
  require(config.run.dir, "run.dir", "name the folder for the run's checkpoints, logs and results");
  require(config.data.corpus, "data.corpus", "name the folder that `hyperx prepare` wrote");
  if (config.eval.split == "both")
    throw UserError(ExitCode::kBadConfig, "eval.split = both is for `hyperx evaluate`: a training scores dev or test");
  require(config.train.pairs, "train.pairs", "name pairs such as pos:en,mlm:*");

  const at::Device device = comm::choose_device(config.device, session);
  choose_kernels(config, device, session.rank());
  const int threads = set_threads(config, session);
  const auto communicator = comm::make_communicator(config.parallel, device, session);
  std::optional<train::RunLock> lock;
  const RunDir run{comm::on_rank_zero(*communicator, [&] {
    const RunDir opened = train::open_run_dir(config.run.dir, resume);
    lock.emplace(opened, train::LockTiming{}, [&] { return stop.signal() != 0; });
    train::remove_leftovers(opened);
    log::add_file(opened.log());
    if (restart) train::start_over(opened);
    if (!has_state_to_keep(opened)) {
      train::RunState state;
      state.state = "queued";
      train::write_run_state(opened, state);
    }
    return opened.path;
  })};

  const std::string token = comm::on_rank_zero(*communicator, [&] { return lock->token(); });
  const auto record = [run, token](const comm::FailureReport& report) { record_failure(run, token, report); };
  on_failure = [record](const comm::FailureReport& report) {
    if (report.of_all) record(report);  // all ranks have this error: rank 0 is named, whoever claims the report below
  };
  comm::WatchdogOptions options;
  options.limits = comm::SectionLimits::of(config.parallel);
  options.folder = run.ranks();
  options.on_failure = record;
  comm::Watchdog watchdog(session.info(), progress, options);
  watchdog.watch(communicator.get());
  try {
    const int code =
        train_in(line, session, *communicator, device, watchdog, stop, run, threads, lock ? &*lock : nullptr);
    watchdog.watch(nullptr);
    return code;
  } catch (const std::exception& error) {
    const comm::RankProgress::Place place = progress.failure();
    if (watchdog.claim_report())  // before the clean-up that makes other ranks fail
      record({session.rank(), session.info().host(), place.section, place.step, error.what()});
    watchdog.watch(nullptr);
    throw;
  }
}

}  // namespace hyperx
