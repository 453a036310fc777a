#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>

// Log lines are whole lines: time, [rank/size], text. Rank 0 writes to stderr and, once a run folder exists, to its
// train.log; other ranks write warnings and errors only. An output that fails never ends the program: lines of
// train.log wait until they can be written, lines of standard error are left out, and the other output says so.
namespace hyperx::log {

void set_rank(int rank, int size);
void add_file(const std::string& path);  // appends to the file; a warning if it cannot be opened
// Appends one error line to the log of a run from any rank and thread, whatever state this process is in: for the
// reason why it ends. Failures are ignored.
void append_error(const std::string& path, const std::string& text);
void write_info(const std::string& text);
void write_warning(const std::string& text);
void write_error(const std::string& text);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write_info(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write_warning(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hyperx::log
