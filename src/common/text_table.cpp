#include "common/text_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace hyperx {

namespace {

// Columns that UTF-8 text takes on a terminal: continuation bytes take none.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return text.empty() || text == "-" || text.find_first_not_of("0123456789.+-e,%kMG") == std::string::npos;
}

}  // namespace

void TextTable::print(std::ostream& out, const std::string& indent) const {
  std::vector<size_t> widths(rows_[0].size(), 0);
  std::vector<bool> right(rows_[0].size(), true);
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
      if (&row != &rows_[0] && !is_number(row[i])) right[i] = false;
    }
  for (const auto& row : rows_) {
    std::string line = indent;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - width_of(row[i]), ' ');
      line += (i > 0 ? "  " : "") + (right[i] ? blanks + row[i] : row[i] + blanks);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string number_text(double value) { return fmt::format("{:.4g}", value); }

}  // namespace hyperx
