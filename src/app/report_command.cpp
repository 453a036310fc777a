#include <filesystem>
#include <functional>
#include <iostream>

#include "app/commands.h"
#include "app/report_options.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "report/comparison.h"
#include "report/write_html.h"
#include "report/writers.h"

namespace hyperx {
namespace {

constexpr size_t kIntervalTrials = 1000;

struct Format {
  const char* name;
  const char* extension;
  std::string (*write)(report::Report& report, const std::string& folder);
};

std::string html_of(report::Report& report, const std::string& folder) {
  const std::vector<report::Figure> figures = report::all_figures(report);
  return report::html_report(report, figures, folder);
}

const Format kFormats[] = {
    {"text", ".txt", [](report::Report& report, const std::string&) { return report::text_report(report); }},
    {"markdown", ".md", [](report::Report& report, const std::string&) { return report::markdown_report(report); }},
    {"latex", ".tex", [](report::Report& report, const std::string&) { return report::latex_report(report); }},
    {"csv", ".csv", [](report::Report& report, const std::string&) { return report::csv_report(report); }},
    {"html", ".html", html_of},
};

template <class Matches>
const Format* find_format(Matches matches) {
  for (const Format& format : kFormats)
    if (matches(format)) return &format;
  return nullptr;
}

// What --format says, or the end of the name of --output; null: a folder with everything.
const Format* chosen_format(const CommandLine& line, const std::string& output) {
  if (line.has_flag("format")) {
    const std::string name = line.flag("format");
    const Format* const format = find_format([&](const Format& known) { return name == known.name; });
    if (format == nullptr)
      throw UserError(ExitCode::kUsage, "--format takes text, markdown, latex, csv or html, not '" + name + "'");
    return format;
  }
  if (output.empty()) return &kFormats[0];
  const std::string extension = std::filesystem::path(output).extension().string();
  return find_format([&](const Format& known) { return extension == known.extension; });
}

void write_folder(report::Report& report, const std::string& folder) {
  make_folders(folder + "/figures");
  for (const report::Figure& figure : report::all_figures(report))
    write_file_atomically(folder + "/figures/" + figure.file + ".svg", figure.svg);
  for (const Format& format : kFormats)
    write_file_atomically(folder + "/scores" + format.extension, format.write(report, folder));
}

int run_report(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name runs, or a folder of runs: hyperx report runs");
  const std::string output = line.flag("output");
  const Format* const format = chosen_format(line, output);
  report::Report report = report_of(line);
  if (line.has_flag("strict") && report.is_uneven()) {
    std::string notes;
    for (const std::string& note : report.notes()) notes += "\n- " + note;
    throw UserError(ExitCode::kBadData, "the comparison is uneven, and --strict refuses that:" + notes);
  }
  report::Resampling resampling = resampling_of(line);
  if (!line.has_flag("trials")) resampling.trials = kIntervalTrials;
  if (!line.has_flag("no-intervals")) report::add_intervals(report, resampling);
  if (output.empty()) {
    std::cout << format->write(report, ".");
  } else if (format == nullptr) {
    write_folder(report, output);
    log::info("written: {0}/scores.html, and as .txt, .md, .tex and .csv; figures in {0}/figures", output);
  } else {
    const std::string folder = std::filesystem::path(output).parent_path().string();
    if (!folder.empty()) make_folders(folder);
    write_file_atomically(output, format->write(report, folder));
    log::info("written: {}", output);
  }
  return 0;
}

}  // namespace

Command report_command() {
  CommandSpec spec;
  spec.name = "report";
  spec.usage = "hyperx report [LABEL=]RUN[,RUN...]... [--split test] [--output FOLDER|FILE] [--format FORMAT]";
  spec.summary = "makes tables and figures of the scores of runs";
  spec.help =
      "RUN is a run folder, a folder with runs in it, or a pattern such as 'runs/madx-*'. Runs with the same settings\n"
      "but for train.seed are one system: mean and standard deviation over the seeds. Runs under one LABEL are one\n"
      "system, too; they may be trained on different pairs, and then each pair is scored by the runs that were not\n"
      "trained on it. Only result files are read (`hyperx evaluate` writes them), and the predictions next to them, "
      "for\n"
      "intervals. Languages are grouped by family. A row in which a system has no score, or another test file, is\n"
      "marked, not ranked, and in no mean.\n\n"
      "  hyperx report runs/first\n"
      "  hyperx report runs --output report              (HTML, LaTeX, Markdown, CSV, text, and figures as SVG)\n"
      "  hyperx report 'Hyper-X=runs/hyperx-*' 'MAD-X=runs/madx-*' --output table.tex";
  spec.flags = selection_flags();
  spec.flags.insert(
      spec.flags.end(),
      {{"output", "FOLDER|FILE", "a file (.html, .md, .tex, .csv, .txt) or a folder for all of them and the figures"},
       {"format", "text|markdown|latex|csv|html", "format of the file or of what is printed (text)"},
       {"strict", "", "refuse an uneven comparison (65) instead of marking it"},
       {"no-intervals", "", "do not read predictions to make intervals"},
       {"trials", "N", "trials of the bootstrap of intervals (1000)"},
       {"seed", "N", "seed of the bootstrap (12345)"}});
  return {spec, run_report};
}

}  // namespace hyperx
