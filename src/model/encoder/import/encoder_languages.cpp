#include "model/encoder/import/encoder_languages.h"

#include <algorithm>
#include <sstream>

#include "common/errors.h"
#include "encoder_languages_table.h"

namespace hyperx::model {
namespace {

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::istringstream text(line);
  for (std::string column; std::getline(text, column, '\t');) columns.push_back(column);
  return columns;
}

}  // namespace

std::vector<std::string> encoder_languages(const std::string& column) {
  std::istringstream table(kEncoderLanguagesTable);
  std::string line;
  while (std::getline(table, line) && line.starts_with('#')) continue;
  const std::vector<std::string> header = columns_of(line);
  const auto found = std::find(header.begin(), header.end(), column);
  HYPERX_CHECK(found != header.end(), "configs/languages/encoders.tsv has no column " + column);
  const auto index = static_cast<size_t>(found - header.begin());
  std::vector<std::string> languages;
  while (std::getline(table, line)) {
    const std::vector<std::string> columns = columns_of(line);
    HYPERX_CHECK(columns.size() == header.size(), "configs/languages/encoders.tsv: " + line);
    if (columns[index] == "1") languages.push_back(columns[0]);
  }
  std::sort(languages.begin(), languages.end());
  return languages;
}

}  // namespace hyperx::model
