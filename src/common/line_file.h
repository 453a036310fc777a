#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hyperx {

// Appends whole lines to a file. Lines that cannot be written (a full disk) stay in memory and are written later, in
// order; the file never keeps a part of a line. Not for several threads.
class LineFile {
 public:
  // Creates the file if there is none. SystemError (73): it cannot be opened, or is a folder or a pipe.
  explicit LineFile(const std::string& path);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // Adds a line (which ends with '\n'), to be written by flush().
  void add(std::string_view line);
  // Writes all pending lines in one call. SystemError (74): they stay pending, and the file ends with a complete line.
  void flush();
  int64_t lines_waiting() const { return lines_waiting_; }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int fd_ = -1;
  std::string waiting_;
  int64_t lines_waiting_ = 0;
  int64_t torn_at_ = -1;  // start of an incomplete line that could not be removed
};

}  // namespace hyperx
