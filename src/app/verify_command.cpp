#include <filesystem>
#include <iostream>
#include <optional>

#include "app/commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/progress.h"
#include "data/corpus/corpus.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;

// Counts of the checkpoints and corpora examined, and of those with problems.
struct Outcome {
  int64_t all = 0, damaged = 0, other_format = 0;
  std::string first;  // the first problem

  void add(const std::string& name, const std::vector<std::string>& problems) {
    ++all;
    if (problems.empty()) {
      std::cout << name << ": whole\n";
      return;
    }
    ++damaged;
    for (const std::string& problem : problems) std::cout << "DAMAGED " << problem << "\n";
    if (first.empty()) first = problems.front();
  }
  // Nothing of it can be compared, but nothing shows damage either.
  void add_other_format(const std::string& problem) {
    ++all;
    ++other_format;
    std::cout << "NOT CHECKED " << problem << "\n";
    if (first.empty()) first = problem;
  }
  bool good() const { return damaged == 0 && other_format == 0; }
  std::string text() const {
    const std::string of_all = " of " + std::to_string(all);
    std::string text = damaged > 0 ? std::to_string(damaged) + of_all + " damaged" : "";
    if (other_format > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(other_format) + of_all + " of another format version";
    return text + "; the first: " + first;
  }
};

int64_t bytes_below(const std::string& folder) {
  int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  return bytes;
}

// The problem, if the format version is one that this program does not read; a program that reads it must verify it.
std::optional<std::string> other_format(const std::string& folder) {
  try {
    train::read_manifest(folder);
  } catch (const train::OtherFormat& error) {
    return error.what();
  } catch (const UserError&) {  // as verify_checkpoint() will report
  }
  return std::nullopt;
}

void verify_one_checkpoint(const std::string& folder, Outcome& outcome) {
  if (const auto problem = other_format(folder)) {
    outcome.add_other_format(*problem);
    return;
  }
  Progress progress("verify " + fs::path(folder).filename().string(), bytes_below(folder), "bytes");
  int64_t before = 0;  // bytes of the files already verified
  const auto report = [&](const std::string&, int64_t done, int64_t all) {
    progress.update(before + done);
    if (done == all) before += all;
  };
  const std::vector<std::string> problems = train::verify_checkpoint(folder, report);
  progress.finish();
  outcome.add(folder, problems);
}

// Verifies every checkpoint of a run, including those set aside.
void verify_run(const std::string& checkpoints, Outcome& outcome) {
  std::vector<std::string> folders;
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || name.rfind("step-", 0) != 0) continue;
    if (train::step_of_name(name))
      folders.push_back(entry.path().string());
    else
      std::cout << entry.path().string() << ": " << (entry.path().extension() == ".tmp" ? "unfinished" : "set aside")
                << ", not looked at\n";
  }
  std::sort(folders.begin(), folders.end());
  if (folders.empty()) throw UserError(ExitCode::kNoInput, checkpoints + ": holds no checkpoint");
  for (const std::string& folder : folders) verify_one_checkpoint(folder, outcome);
}

void verify_corpus(const std::string& folder, Outcome& outcome) {
  const data::Corpus corpus = data::Corpus::open(folder);
  int64_t bytes = 0;
  for (const data::PairEntry& entry : corpus.index().pairs) bytes += entry.bytes;
  Progress progress("verify " + folder, bytes, "bytes");
  std::vector<std::string> problems;
  for (const data::PairEntry& entry : corpus.index().pairs) {
    try {
      corpus.verify(entry.pair);
    } catch (const UserError& error) {
      problems.push_back(error.what());
    }
    progress.advance(entry.bytes);
  }
  try {
    corpus.verify_summaries();
  } catch (const UserError& error) {
    problems.push_back(error.what());
  }
  progress.finish();
  outcome.add(folder, problems);
}

int run_verify(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name a run, a checkpoint or a corpus");
  Outcome outcome;
  for (std::string object : line.objects) {
    while (object.size() > 1 && object.back() == '/') object.pop_back();
    if (fs::is_regular_file(object)) object = fs::absolute(object).parent_path().string();  // its digest is there
    if (fs::exists(object + "/" + data::kCorpusIndexName))
      verify_corpus(object, outcome);
    else if (fs::is_directory(object + "/checkpoints"))
      verify_run(object + "/checkpoints", outcome);
    else if (fs::is_directory(object))
      verify_one_checkpoint(object, outcome);
    else
      throw UserError(ExitCode::kNoInput, object + ": no such run, checkpoint or corpus");
  }
  std::cout.flush();
  if (outcome.good()) return 0;
  throw UserError(ExitCode::kBadData, outcome.text());
}

}  // namespace

Command verify_command() {
  CommandSpec spec;
  spec.name = "verify";
  spec.usage = "hyperx verify RUN|CHECKPOINT|CORPUS...";
  spec.summary = "checks every byte of checkpoints and corpora against their digests";
  spec.help =
      "For a RUN, all checkpoints are read; a file is checked with the folder that it is in. Exits with 65 if\n"
      "anything is damaged or has a format version that this program does not read, and names it.\n\n"
      "Example:\n"
      "  hyperx verify runs/quick corpus/";
  return {spec, run_verify};
}

}  // namespace hyperx
