#include <filesystem>
#include <iostream>
#include <set>

#include "app/commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/progress.h"
#include "common/read_error.h"
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

// False: it is gone, deleted by a training that is running.
bool verify_one_checkpoint(const std::string& folder, Outcome& outcome) {
  int64_t bytes = 0, before = 0;  // of all files; of those already verified
  try {
    for (const auto& [name, entry] : train::read_manifest(folder).files) bytes += entry.bytes;
  } catch (const train::OtherFormat& error) {
    outcome.add_other_format(error.what());
    return true;
  } catch (const ReadError&) {
    throw;
  } catch (const UserError&) {  // as verify_checkpoint() will report
  }
  Progress progress("verify " + fs::path(folder).filename().string(), bytes, "bytes");
  const auto report = [&](const std::string&, int64_t done, int64_t all) {
    progress.update(before + done);
    if (done == all) before += all;
  };
  const std::vector<std::string> problems = train::verify_checkpoint(folder, report);
  progress.finish();
  if (kind_of(folder) == PathKind::kNothing) return false;
  outcome.add(folder, problems);
  return true;
}

// Verifies every checkpoint of a run. Looks again for new ones if the run's training deleted one meanwhile.
void verify_run(const std::string& checkpoints, Outcome& outcome) {
  std::set<std::string> seen;
  bool any = false;
  for (bool again = true; again;) {
    again = false;
    for (const std::string& name : names_in(checkpoints)) {
      const std::string path = checkpoints + "/" + name;
      if (name.rfind("step-", 0) != 0 || kind_of(path) != PathKind::kFolder || !seen.insert(name).second) continue;
      if (!train::step_of_name(name)) {
        std::cout << path << ": " << (fs::path(name).extension() == ".tmp" ? "unfinished" : "set aside")
                  << ", not looked at\n";
      } else if (!verify_one_checkpoint(path, outcome)) {
        std::cout << path << ": deleted by its training meanwhile, not looked at\n";
        again = true;
      } else {
        any = true;
      }
    }
  }
  if (!any) throw UserError(ExitCode::kNoInput, checkpoints + ": holds no checkpoint");
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
    } catch (const ReadError&) {
      throw;
    } catch (const UserError& error) {
      problems.push_back(error.what());
    }
    progress.advance(entry.bytes);
  }
  try {
    corpus.verify_summaries();
  } catch (const ReadError&) {
    throw;
  } catch (const UserError& error) {
    problems.push_back(error.what());
  }
  progress.finish();
  outcome.add(folder, problems);
}

int run_verify(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name a run, a checkpoint or a corpus");
  Outcome outcome;
  for (const std::string& named : line.objects) {
    std::string object = without_slashes(named);
    if (kind_of(object) == PathKind::kFile)
      object = fs::absolute(object).parent_path().string();  // its digest is there
    if (kind_of(object + "/" + data::kCorpusIndexName) != PathKind::kNothing)
      verify_corpus(object, outcome);
    else if (kind_of(object + "/checkpoints") == PathKind::kFolder)
      verify_run(object + "/checkpoints", outcome);
    else if (kind_of(object) != PathKind::kFolder || !verify_one_checkpoint(object, outcome))
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
