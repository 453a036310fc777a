#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/files.h"

namespace hyperx::data {

// The lines of a text file, without their ends, as views into the mapped file. A byte order mark, CR LF and a missing
// last line feed are tolerated; a line that is not UTF-8 or longer than kLongestLineBytes is a UserError (65).
class LineSource {
 public:
  explicit LineSource(const std::string& path);  // UserError (66): missing, a folder, no permission

  bool next(std::string_view& line);
  int64_t number() const { return number_; }  // of the line that next() returned last, from 1
  const std::string& path() const { return path_; }

  // Throws UserError (65): "path:line: what".
  [[noreturn]] void fail(int64_t line, const std::string& what) const;

 private:
  std::string path_;
  MappedFile file_;
  std::string_view rest_;
  int64_t number_ = 0;
};

bool is_blank(std::string_view line);  // nothing but spaces and tabs

}  // namespace hyperx::data
