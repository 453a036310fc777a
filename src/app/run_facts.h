#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

// What a run folder tells about a run, as texts that can be compared with those of another run.
namespace hyperx {

// The kinds of facts, in the order in which `diff` shows them.
enum class FactKind {
  kSetting,      // settings that affect the result
  kData,         // digests of corpus and encoder, and of the runs that it is built on
  kProgram,      // version of hyperx
  kMachine,      // ranks, devices, libraries, hosts: they change at most the last bits
  kFreeSetting,  // settings that do not affect the result
  kProgress,
};
struct FactKindRow {
  FactKind kind;
  const char* name;   // in JSON
  const char* title;  // "settings that affect the result"
  bool affects_result;
};
const std::vector<FactKindRow>& fact_kinds();

struct Score {
  double value = 0;
  int64_t step = 0;
};

struct RunFacts {
  std::string run;
  std::map<std::pair<FactKind, std::string>, std::string> facts;
  std::map<std::tuple<std::string, std::string, std::string>, Score> scores;  // by split, pair, metric; the newest
  std::vector<std::string> not_known;  // what could not be read, and why: one line each
};

// UserError (66): no such run folder. All else that cannot be read is in not_known.
RunFacts read_run_facts(const std::string& run);

}  // namespace hyperx
