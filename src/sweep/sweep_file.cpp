#include "sweep/sweep_file.h"

#include <algorithm>
#include <map>

#include "common/config/make_option.h"
#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/files.h"
#include "sweep/row_set.h"

namespace hyperx::sweep {
namespace {

using config::Assignment;
using config::Option;

constexpr int64_t kLargestSeed = 1'000'000'000;

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(trimmed(text.substr(begin, end - begin)));
    if (end == std::string::npos) return parts;
    begin = end + separator.size();
  }
}

// "grid" of "grid NAME".
std::string kind_of_section(const std::string& section) { return section.substr(0, section.find(' ')); }

class Reader {
 public:
  Reader(const config::Schema& schema, const CommandSpecs& specs, const std::string& path)
      : schema_(schema), specs_(specs) {
    file_.path = path;
    file_.text = read_file(path);
    assignments_ = config::parse_assignments(file_.text, path);
  }

  SweepFile read() {
    // Base files first, wherever [sweep] stands: the file's own settings win.
    for (const Assignment& each : assignments_)
      if (each.section == "sweep") take_sweep(each, key_in_section(each));
    for (const Assignment& each : assignments_) take(each);
    finish();
    return std::move(file_);
  }

 private:
  std::string place(int line) const { return file_.path + ":" + std::to_string(line) + ": "; }

  [[noreturn]] void refuse(int line, const std::string& what) const {
    throw UserError(ExitCode::kBadConfig, place(line) + what);
  }

  static std::string key_in_section(const Assignment& each) { return each.key.substr(each.section.size() + 1); }

  void take(const Assignment& each) {
    const std::string kind = kind_of_section(each.section);
    if (kind == "sweep" && each.section == kind) return;
    if (kind == "grid" || kind == "list") {
      take_variation(each, kind == "list");
    } else if (kind == "when") {
      take_when(each);
    } else if (each.section == "evaluate") {
      evaluate_.push_back(setting(each, key_in_section(each), specs_.evaluate));
    } else {
      const Setting base = setting(each, each.key, specs_.train);
      require_one_value(base);
      base.option->set(file_.base, base.values[0]);
      file_.given.insert(base.option->key);
    }
  }

  void take_sweep(const Assignment& each, const std::string& key) {
    if (key == "config") {
      for (const std::string& path : split(each.value, "|"))
        config::read_settings(schema_, specs_.train, path, file_.base,
                              [&](const std::string& taken, int) { file_.given.insert(taken); });
      file_.base.run.dir.clear();
      file_.given.erase("run.dir");
    } else if (key == "seeds") {
      file_.seeds = {schema_.find("train.seed"), {}, each.line};
      for (const int64_t seed : parse_seeds(each)) file_.seeds.values.push_back(std::to_string(seed));
    } else {
      refuse(each.line, "[sweep] has no key '" + key + "': it has config and seeds");
    }
  }

  std::vector<int64_t> parse_seeds(const Assignment& each) const {
    try {
      return parse_row_set(each.value, kLargestSeed, "seeds");
    } catch (const UserError& error) {
      refuse(each.line, error.what());
    }
  }

  void take_variation(const Assignment& each, bool is_list) {
    if (each.section != section_) {
      section_ = each.section;
      file_.sections.push_back({is_list, each.line, {}});
    }
    file_.sections.back().settings.push_back(setting(each, key_in_section(each), specs_.train));
  }

  void take_when(const Assignment& each) {
    if (file_.whens.empty() || file_.whens.back().header != each.section)
      file_.whens.push_back({each.section, conditions(each), false, {}});
    When& when = file_.whens.back();
    const std::string key = key_in_section(each);
    if (key == "skip") {
      if (config::read_value(each.value, when.skip) != config::Reading::kGood)
        refuse(each.line, "skip = '" + each.value + "': expected yes or no");
      return;
    }
    when.settings.push_back(setting(each, key, specs_.train));
    require_one_value(when.settings.back());
  }

  std::vector<Condition> conditions(const Assignment& each) const {
    std::vector<Condition> all;
    const std::string text = trimmed(each.section.substr(std::string("when").size()));
    for (const std::string& part : split(text, " and ")) {
      const size_t equals = part.find('=');
      if (equals == std::string::npos || equals == 0)
        refuse(each.line, "[" + each.section + "]: expected [when KEY = VALUE | VALUE and KEY != VALUE]");
      Condition condition;
      condition.equal = part[equals - 1] != '!';
      const Assignment as_line{trimmed(part.substr(0, condition.equal ? equals : equals - 1)),
                               trimmed(part.substr(equals + 1)), each.line};
      const Setting read = setting(as_line, as_line.key, specs_.train);
      condition.option = read.option;
      condition.values = read.values;
      all.push_back(std::move(condition));
    }
    return all;
  }

  // Checks the key and every value of a line.
  Setting setting(const Assignment& each, const std::string& key, const CommandSpec& spec) const {
    const Option* const option = schema_.find(key);
    if (option == nullptr) config::throw_unknown_key(schema_, key, place(each.line), ExitCode::kBadConfig, &spec);
    if (!config::takes(spec, *option)) refuse(each.line, key + " is no key of `" + spec.title() + "`: leave it out");
    if (key == "run.dir") refuse(each.line, "run.dir is chosen by the sweep, one folder per row: leave it out");
    Setting setting{option, {}, each.line};
    for (const std::string& value : split(each.value, "|")) {
      Config scratch;
      config::set_value(*option, scratch, value, place(each.line), ExitCode::kBadConfig);
      setting.values.push_back(option->get(scratch));
    }
    return setting;
  }

  void require_one_value(const Setting& setting) const {
    if (setting.values.size() > 1)
      refuse(setting.line, setting.option->key + " has several values here: they belong into [grid] or [list]");
  }

  void finish() {
    for (Section& section : file_.sections) {
      if (section.is_list) even_out(section);
      for (const Setting& each : section.settings)
        if (each.option == file_.seeds.option && !file_.seeds.values.empty())
          refuse(each.line, "train.seed is also set by seeds in line " + std::to_string(file_.seeds.line) +
                                ": remove one of them");
    }
    make_evaluations();
  }

  // A list's keys have as many values as its longest one; a single value serves all rows.
  void even_out(Section& section) const {
    const auto longest =
        std::max_element(section.settings.begin(), section.settings.end(),
                         [](const Setting& a, const Setting& b) { return a.values.size() < b.values.size(); });
    const size_t rows = longest->values.size();
    const std::string key_of_longest = longest->option->key;
    for (Setting& each : section.settings) {
      if (each.values.size() == 1) each.values.resize(rows, each.values[0]);
      if (each.values.size() != rows)
        refuse(each.line, each.option->key + " has " + std::to_string(each.values.size()) + " values, but " +
                              key_of_longest + " in the same list has " + std::to_string(rows) +
                              ": give as many, or one for all");
    }
  }

  void make_evaluations() {
    if (evaluate_.empty()) return;
    const auto splits = std::find_if(evaluate_.begin(), evaluate_.end(),
                                     [](const Setting& each) { return each.option->key == "eval.split"; });
    if (splits == evaluate_.end())
      refuse(evaluate_.front().line, "[evaluate] does not say what to score: add eval.split = dev, test or dev | test");
    for (const std::string& name : splits->values) {
      Evaluation evaluation{name, {{"eval.split", name}}};
      for (const Setting& each : evaluate_) {
        if (&each == &*splits) continue;
        require_one_value(each);
        std::string value = each.values[0];
        evaluation.settings.emplace_back(each.option->key, std::move(value));
      }
      std::sort(evaluation.settings.begin(), evaluation.settings.end());  // as they are stored
      file_.evaluations.push_back(std::move(evaluation));
    }
  }

  const config::Schema& schema_;
  const CommandSpecs& specs_;
  std::vector<Assignment> assignments_;
  SweepFile file_;
  std::string section_;  // the last [grid] or [list]
  std::vector<Setting> evaluate_;
};

}  // namespace

std::string Evaluation::text() const {
  std::string text;
  for (const auto& [key, value] : settings) text += (text.empty() ? "" : ", ") + key + " = " + value;
  return text;
}

SweepFile read_sweep_file(const config::Schema& schema, const CommandSpecs& specs, const std::string& path) {
  return Reader(schema, specs, path).read();
}

}  // namespace hyperx::sweep
