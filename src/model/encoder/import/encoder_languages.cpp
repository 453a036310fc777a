#include "model/encoder/import/encoder_languages.h"

#include <algorithm>
#include <sstream>

#include "common/errors.h"
#include "data/source/source_reader.h"
#include "encoder_languages_table.h"

namespace hyperx::model {
std::vector<std::string> encoder_languages(const std::string& column) {
  std::istringstream table(kEncoderLanguagesTable);
  std::string line;
  while (std::getline(table, line) && line.starts_with('#')) continue;
  std::vector<std::string_view> columns;
  const auto split = [&] { data::split_columns(line, '\t', false, columns); };
  split();
  const size_t width = columns.size();
  const auto found = std::find(columns.begin(), columns.end(), column);
  HYPERX_CHECK(found != columns.end(), "configs/languages/encoders.tsv has no column " + column);
  const auto index = static_cast<size_t>(found - columns.begin());
  std::vector<std::string> languages;
  while (std::getline(table, line)) {
    split();
    HYPERX_CHECK(columns.size() == width, "configs/languages/encoders.tsv: " + line);
    if (columns[index] == "1") languages.emplace_back(columns[0]);
  }
  std::sort(languages.begin(), languages.end());
  return languages;
}

}  // namespace hyperx::model
