#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/files.h"

namespace hyperx::data {

// The lines of a text file, without their ends, as views into the mapped file. A byte order mark, CR LF and a missing
// last line feed are tolerated; a line that is not UTF-8, holds a NUL or is longer than
// kLongestLineBytes is a UserError (65).
class LineSource {
 public:
  explicit LineSource(const std::string& path);  // UserError (66): missing, a folder, no permission

  bool next(std::string_view& line);
  std::string_view head(size_t bytes) const { return file_.view().substr(0, bytes); }  // the file's beginning
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

inline constexpr const char* kNulInText =
    "a NUL byte: is this a text file? Convert UTF-16 to UTF-8, as by `iconv -f UTF-16 -t UTF-8`";

bool is_blank(std::string_view line);  // nothing but spaces and tabs

}  // namespace hyperx::data
