#pragma once

#include <gtest/gtest.h>

#include <string>

#include "model/options.h"
#include "sweep/plan.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::sweep {

// Sweep files in a temporary folder, and sweeps made of them. What `train` and `evaluate` take is a part of the truth.
class SweepTest : public testing::Test {
 protected:
  static CommandSpecs specs() {
    CommandSpecs specs;
    specs.train.name = "train";
    specs.train.key_prefixes = {"run.",      "data.corpus", "model.",      "train.",
                                "parallel.", "eval.",       "checkpoint.", "threads"};
    specs.evaluate.name = "evaluate";
    specs.evaluate.key_prefixes = {"data.corpus", "eval.", "threads"};
    return specs;
  }
  static constexpr const char* kBase = "data.corpus = corpus\nmodel.encoder = encoder\ntrain.pairs = pos:en\n";

  std::string write(const std::string& text) const { return folder_.write("sweep.conf", kBase + text); }
  SweepFile read(const std::string& text) const { return read_sweep_file(model::options(), specs_, write(text)); }
  // The error of a sweep file, without the folder's name.
  std::string error_of(const std::string& text) const {
    std::string error = test::user_error([&] { expand(text); });
    const size_t at = error.find(folder_.path() + "/");
    return at == std::string::npos ? error : error.erase(at, folder_.path().size() + 1);
  }
  std::string sweep(const std::string& name = "sweep") const { return folder_.path("sweeps/" + name); }
  RowMaker maker(const std::string& folder) const { return {model::options(), specs_, folder, folder_.path()}; }
  Expansion expand(const std::string& text) const { return maker(sweep()).expand(read(text)); }
  Plan plan(const std::string& text, const std::string& name = "sweep") const {
    const SweepFile file = read(text);
    const RowMaker made = maker(sweep(name));
    return write_plan(sweep(name), file, made, made.expand(file));
  }
  // Values of one key in all rows, such as "1 2 3".
  std::string values(const Expansion& expansion, const std::string& key) const {
    const RowMaker made = maker(sweep());
    const auto place = std::find(made.keys().begin(), made.keys().end(), key) - made.keys().begin();
    std::string text;
    for (const Row& row : expansion.rows) text += (text.empty() ? "" : " ") + row.values.at(static_cast<size_t>(place));
    return text;
  }

  test::TemporaryFolder folder_{test::TemporaryFolder::Where::kMemory};
  const CommandSpecs specs_ = specs();
};

}  // namespace hyperx::sweep
