#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hyperx::data {

// The lines of a file or of standard input, with their line ends, read on demand.
class PredictionLines {
 public:
  explicit PredictionLines(const std::string& path);  // "-": standard input. UserError (66) as PredictionInput
  ~PredictionLines();
  PredictionLines(const PredictionLines&) = delete;
  PredictionLines& operator=(const PredictionLines&) = delete;

  // The next line with its line end; false: end of file. The view is valid until the next call. UserError (65): longer
  // than kLongestLineBytes, not UTF-8, or with a NUL.
  bool next(std::string_view& line);
  // The first lines, without taking them: at most `bytes`, fewer at the end of the file.
  std::string_view peek(size_t bytes);
  int64_t number() const { return number_; }  // of the last line, from 1
  const std::string& name() const { return name_; }
  std::string place() const { return name_ + ":" + std::to_string(number_); }

 private:
  bool fill();  // reads more bytes; false: end of file

  std::string name_;
  int fd_ = -1;
  bool owned_ = false;
  bool at_end_ = false;
  std::string buffer_;
  size_t begin_ = 0;  // of the bytes that belong to no line yet
  int64_t number_ = 0;
};

// A line without its line end (LF or CR LF).
std::string_view without_line_end(std::string_view line);

}  // namespace hyperx::data
