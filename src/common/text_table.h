#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace hyperx {

// Rows printed in columns two blanks apart; the first row is the head. Columns whose cells below the head are all
// numbers stand to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out, const std::string& indent = "  ") const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string shape_text(const std::vector<int64_t>& shape);  // "[700, 192]"
std::string number_text(double value);                      // four digits that count

}  // namespace hyperx
