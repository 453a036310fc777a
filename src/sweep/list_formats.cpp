#include "sweep/list_formats.h"

#include <filesystem>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/quoting.h"
#include "sweep/process.h"
#include "sweep/row_set.h"
#include "sweep/row_stages.h"

namespace hyperx::sweep {
namespace {

namespace fs = std::filesystem;

std::string absolute(const Plan& plan) {
  std::error_code error;
  return fs::weakly_canonical(fs::absolute(plan.folder, error), error).string();
}

// "hyperx sweep run SWEEP --row", with paths that hold in every folder.
std::string run_line(const Plan& plan) { return shell_line({this_program(), "sweep", "run", absolute(plan), "--row"}); }

nlohmann::ordered_json values_of(const Plan& plan, int64_t row) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (size_t i = 0; i < plan.varying.size(); ++i) values[plan.varying[i]] = plan.row(row).values[i];
  return values;
}

std::string lines_of(const Plan& plan, const std::vector<int64_t>& rows) {
  const std::string line = run_line(plan);
  std::string text;
  for (const int64_t row : rows) text += line + " " + std::to_string(row) + "\n";
  return text;
}

std::string folders_of(const Plan& plan, const std::vector<int64_t>& rows) {
  std::string text;
  for (const int64_t row : rows) text += plan.run_folder(row) + "\n";
  return text;
}

std::string json_of(const Plan& plan, const std::vector<int64_t>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const int64_t row : rows)
    list.push_back({{"row", row}, {"digest", plan.row(row).digest}, {"values", values_of(plan, row)}});
  return list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// A string of Python; braces are doubled where Snakemake would fill them in.
std::string python_text(const std::string& text, bool is_template) {
  std::string quoted = nlohmann::json(text).dump();
  std::string result;
  for (const char c : quoted) result += is_template && (c == '{' || c == '}') ? std::string(2, c) : std::string(1, c);
  return result;
}

std::string snakefile_of(const Plan& plan, const std::vector<int64_t>& rows) {
  const std::string done = absolute(plan) + "/snakemake";
  std::string numbers;
  for (const int64_t row : rows) numbers += (numbers.empty() ? "" : ", ") + std::to_string(row);
  return fmt::format(
      "# The rows of {0}: snakemake --snakefile FILE --cores N --keep-going\n"
      "# A row that was saved (exit code 75) fails here: run the same line again, and it continues.\n"
      "ROWS = [{1}]\n\n"
      "rule all:\n"
      "    input: expand({2}, row=ROWS)\n\n"
      "rule row:\n"
      "    output: touch({3})\n"
      "    threads: 1\n"
      "    shell: {4} + \" {{wildcards.row}}\"\n",
      plan.folder, numbers, python_text(done + "/{row}.done", false), python_text(done + "/{row}.done", false),
      python_text(run_line(plan), true));
}

void write_if_new(const std::string& path, const std::string& text) {
  std::error_code error;
  if (!fs::exists(path, error)) return write_file_atomically(path, text);
  if (read_file(path) != text)
    throw UserError(ExitCode::kCannotCreate, path + ": exists with other content; name another --output");
}

}  // namespace

std::string list_rows(const Plan& plan, const std::vector<int64_t>& rows, const std::string& format) {
  if (format == "lines") return lines_of(plan, rows);
  if (format == "folder") return folders_of(plan, rows);
  if (format == "array") return row_set_text(rows) + "\n";
  if (format == "json") return json_of(plan, rows);
  if (format == "snakemake") return snakefile_of(plan, rows);
  throw UserError(ExitCode::kUsage, "--format '" + format + "': it is lines, array, json, folder, snakemake or row");
}

void write_row_project(const Plan& plan, const std::vector<int64_t>& rows, const std::string& folder) {
  for (const int64_t row : rows) {
    const std::string directory = folder + "/workspace/" + plan.row(row).digest;
    nlohmann::ordered_json value = {{"row", row}, {"values", values_of(plan, row)}};
    make_folders(directory);
    write_if_new(directory + "/value.json", value.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  // A TOML string in ''' ''' takes everything as it is; a row is done when its directory holds the product.
  write_if_new(folder + "/workflow.toml",
               fmt::format("# The rows of the sweep {}. `row submit` in this folder runs those that are not done.\n"
                           "[workspace]\n"
                           "value_file = \"value.json\"\n\n"
                           "[[action]]\n"
                           "name = \"run\"\n"
                           "command = '''{} {{directory}} && touch workspace/{{directory}}/done'''\n"
                           "products = [\"done\"]\n"
                           "[action.resources]\n"
                           "walltime.per_directory = \"24:00:00\"  # change it to what a row takes\n",
                           plan.name(), run_line(plan)));
}

}  // namespace hyperx::sweep
