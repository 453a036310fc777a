#include "report/languages.h"

#include <charconv>
#include <map>
#include <tuple>
#include <vector>

#include "common/errors.h"
#include "data/source/source_reader.h"
#include "languages_table.h"

namespace hyperx::report {
namespace {

enum Column { kIso1, kIso3, kGlottocode, kName, kFamily, kGenus, kMacroarea, kLatitude, kLongitude, kColumns };

// Views into the table, by code. A two-letter code and a three-letter code cannot be equal.
using Lines = std::map<std::string_view, std::string_view>;

Lines read_lines() {
  Lines lines;
  std::string_view rest = kLanguagesTable;
  std::vector<std::string_view> columns;
  for (bool is_head = true; !rest.empty(); is_head = false) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    data::split_columns(line, '\t', false, columns);
    HYPERX_CHECK(columns.size() == kColumns, "configs/languages/languages.tsv: " + std::string(line));
    if (is_head) continue;
    for (const int column : {kIso1, kIso3})
      if (!columns[column].empty()) lines.emplace(columns[column], line);
  }
  return lines;
}

bool parse_degrees(std::string_view text, double& degrees) {
  return std::from_chars(text.data(), text.data() + text.size(), degrees).ec == std::errc();
}

}  // namespace

Language find_language(std::string_view code) {
  static const Lines lines = read_lines();
  Language language;
  language.code = language.name = code;
  language.family = kUnknownFamily;
  const auto found = lines.find(code.substr(0, code.find('@')));
  if (found == lines.end()) return language;
  std::vector<std::string_view> columns;
  data::split_columns(found->second, '\t', false, columns);
  language.iso639_3 = columns[kIso3];
  language.glottocode = columns[kGlottocode];
  language.name = columns[kName];
  language.family = columns[kFamily];
  language.genus = columns[kGenus];
  language.macroarea = columns[kMacroarea];
  language.has_place =
      parse_degrees(columns[kLatitude], language.latitude) && parse_degrees(columns[kLongitude], language.longitude);
  return language;
}

bool comes_before(const Language& a, const Language& b) {
  const auto place = [](const Language& language) {
    const int last = language.family == kUnknownFamily ? 2 : language.family == kIsolate ? 1 : 0;
    return std::tuple(last, language.family, language.genus, language.name, language.code);
  };
  return place(a) < place(b);
}

}  // namespace hyperx::report
