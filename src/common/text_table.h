#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace hyperx {

// Prints rows in columns that are two spaces apart; the first row is the header. A column whose cells below the header
// are all numbers is right-aligned.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out, const std::string& indent = "  ") const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string shape_text(const std::vector<int64_t>& shape);  // "[700, 192]"
std::string number_text(double value);                      // four significant digits

}  // namespace hyperx
