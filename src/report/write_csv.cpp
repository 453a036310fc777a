#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <cmath>

#include "common/quoting.h"
#include "report/escape.h"
#include "report/signature.h"
#include "report/writers.h"

namespace hyperx::report {
namespace {

// In the order of the columns. `number` says what kind the value is of: run, system, baseline, mean.
struct Line {
  std::string number, system, method, task, language, iso639_3, glottocode, name, family, genus, read_by_encoder;
  std::string trained, split, metric, seed, value, deviation, low, high, seeds, languages, sentences, words, source;
  std::string scorer, corpus_xxh128, checkpoint_xxh128, step, run, file;
};

constexpr char kHead[] =
    "number,system,method,task,language,iso639_3,glottocode,name,family,genus,read_by_encoder,trained,split,metric,"
    "seed,"
    "value,deviation,low,high,seeds,languages,sentences,words,source,scorer,corpus_xxh128,checkpoint_xxh128,step,run,"
    "file\n";

std::string text_of_line(const Line& line) {
  const std::string* const fields[] = {&line.number,
                                       &line.system,
                                       &line.method,
                                       &line.task,
                                       &line.language,
                                       &line.iso639_3,
                                       &line.glottocode,
                                       &line.name,
                                       &line.family,
                                       &line.genus,
                                       &line.read_by_encoder,
                                       &line.trained,
                                       &line.split,
                                       &line.metric,
                                       &line.seed,
                                       &line.value,
                                       &line.deviation,
                                       &line.low,
                                       &line.high,
                                       &line.seeds,
                                       &line.languages,
                                       &line.sentences,
                                       &line.words,
                                       &line.source,
                                       &line.scorer,
                                       &line.corpus_xxh128,
                                       &line.checkpoint_xxh128,
                                       &line.step,
                                       &line.run,
                                       &line.file};
  std::vector<std::string> escaped;
  for (const std::string* field : fields) escaped.push_back(csv_field(*field));
  return fmt::format("{}\n", fmt::join(escaped, ","));
}

// All digits; shares stay in [0, 1].
std::string number(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

Line line_of(const Report& report, const TaskTable& table, const Row& row) {
  Line line;
  line.task = table.task;
  line.metric = table.metric;
  line.split = report.options.split;
  line.language = row.pair.language;
  line.iso639_3 = row.language.iso639_3;
  line.glottocode = row.language.glottocode;
  line.name = row.language.name;
  line.family = row.language.family;
  line.genus = row.language.genus;
  line.sentences = std::to_string(row.sentences);
  line.words = std::to_string(row.words);
  line.source = row.source;
  if (row.read_by_encoder) line.read_by_encoder = yes_or_no(*row.read_by_encoder);
  return line;
}

std::string run_lines(const Report& report, const Row& row, const System& system, const Cell& cell,
                      const Line& common) {
  std::string text;
  for (const RunScore& score : cell.runs) {
    const Run& run = report.selection.runs[score.run];
    const data::EvaluationResult& result = score.file->result;
    const Signature signature = parse_signature(result.signature);
    Line line = common;
    line.number = "run";
    line.system = system.label;
    line.method = run.method;
    line.trained = yes_or_no(result.trained);
    line.seed = run.has_config ? std::to_string(run.seed) : "";
    line.value = number(score.value);
    line.sentences = std::to_string(result.sentences);
    line.words = std::to_string(result.words);
    line.source = signature.source;
    line.scorer = signature.scorer;
    line.corpus_xxh128 = result.corpus_xxh128;
    line.checkpoint_xxh128 = result.checkpoint_xxh128;
    line.step = std::to_string(run.step);
    line.run = run.path;
    line.file = score.file->path;
    text += text_of_line(line);
    if (!result.baseline || result.main_metric != common.metric) continue;
    line.number = "baseline";
    line.value = number(*result.baseline);
    text += text_of_line(line);
  }
  if (!cell.has_value()) return text;
  Line line = common;
  line.number = "system";
  line.system = system.label;
  line.method = report.selection.runs[system.runs[0]].method;
  line.trained = yes_or_no(cell.trained);
  line.value = number(cell.mean);
  line.deviation = number(cell.deviation);
  if (cell.interval) line.low = number(cell.interval->low), line.high = number(cell.interval->high);
  line.seeds = std::to_string(cell.by_seed.size());
  if (!row.uneven.empty()) line.number = "system, uneven";
  return text + text_of_line(line);
}

std::string mean_lines(const Report& report, const TaskTable& table, const MeanRow& mean, const std::string& family) {
  std::string text;
  for (size_t system = 0; system < mean.values.size(); ++system) {
    Line line;
    line.number = mean.name;
    line.system = report.systems()[system].label;
    line.task = table.task;
    line.family = family;
    line.split = report.options.split;
    line.metric = table.metric;
    line.value = number(mean.values[system]);
    line.deviation = number(mean.deviations[system]);
    line.languages = std::to_string(mean.rows);
    text += text_of_line(line);
  }
  return text;
}

}  // namespace

std::string csv_report(const Report& report) {
  std::string text = kHead;
  for (const TaskTable& table : report.tables) {
    for (const Family& family : table.families) {
      for (const Row& row : family.rows) {
        const Line common = line_of(report, table, row);
        for (size_t system = 0; system < row.cells.size(); ++system)
          text += run_lines(report, row, report.systems()[system], row.cells[system], common);
      }
      if (family.mean) text += mean_lines(report, table, *family.mean, family.name);
    }
    for (const MeanRow& mean : table.means) text += mean_lines(report, table, mean, "");
  }
  return text;
}

}  // namespace hyperx::report
