#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/config/schema.h"

// A sweep file, as a person writes it, in the syntax of settings files:
//
//   data.corpus = corpus             settings of every row, over those of [sweep] config
//   [sweep]
//   config = a.conf | b.conf         settings files; a later one wins
//   seeds = 1-5,8                    every row once per value of train.seed
//   [grid] or [grid NAME]            KEY = VALUE | VALUE ...: rows for every combination
//   [list] or [list NAME]            KEY = VALUE | VALUE ...: a row for the first value of each key, one for the
//   second... [when KEY = VALUE | VALUE and KEY != VALUE]      for the rows that it fits: further settings, or `skip =
//   yes` [evaluate]                       settings of `hyperx evaluate`; one evaluation per value of eval.split
namespace hyperx::sweep {

// Of the two commands that a sweep runs, what they take.
struct CommandSpecs {
  CommandSpec train, evaluate;
};

// One line: a key with one value or several, as Option::get() writes them.
struct Setting {
  const config::Option* option = nullptr;
  std::vector<std::string> values;
  int line = 0;
};

// [grid] or [list].
struct Section {
  bool is_list = false;
  int line = 0;  // of its first setting
  std::vector<Setting> settings;
};

struct Condition {
  const config::Option* option = nullptr;
  bool equal = true;                // or different from all of:
  std::vector<std::string> values;  // as Option::get() writes them
};

// [when CONDITION and CONDITION ...]
struct When {
  std::string header;
  std::vector<Condition> conditions;  // all must hold
  bool skip = false;
  std::vector<Setting> settings;  // of one value each
};

// One `hyperx evaluate` of a finished row: key and value of its settings.
struct Evaluation {
  std::string split;
  std::vector<std::pair<std::string, std::string>> settings;

  std::string text() const;  // "eval.split = test, eval.pairs = pos:*"
  bool operator==(const Evaluation&) const = default;
};

struct SweepFile {
  std::string path, text;
  Config base;                  // paths as they were written
  std::set<std::string> given;  // keys that the base files and the file set
  Setting seeds;                // no values: train.seed as the base has it
  std::vector<Section> sections;
  std::vector<When> whens;
  std::vector<Evaluation> evaluations;
};

// UserError (78), naming file and line: an unknown key or section, a key that the command does not take, a bad value,
// lists of different length, a key in both [grid] and seeds.
SweepFile read_sweep_file(const config::Schema& schema, const CommandSpecs& specs, const std::string& path);

}  // namespace hyperx::sweep
