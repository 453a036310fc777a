#include "data/tasks/prediction_lines.h"

#include <unistd.h>

#include <cerrno>

#include "common/errors.h"
#include "common/files.h"
#include "data/source/line_source.h"
#include "data/source/sentence_reader.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr size_t kReadBytes = size_t{1} << 14;

}  // namespace

PredictionLines::PredictionLines(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  if (path == "-") {
    fd_ = STDIN_FILENO;
  } else {
    fd_ = open_to_read(path, InputKind::kText);
    owned_ = true;
  }
}

PredictionLines::~PredictionLines() {
  if (owned_) ::close(fd_);
}

bool PredictionLines::fill() {
  if (at_end_) return false;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const size_t held = buffer_.size();
  buffer_.resize(held + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data() + held, kReadBytes);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw UserError(ExitCode::kNoInput, name_ + ": cannot be read: " + errno_text());
  buffer_.resize(held + static_cast<size_t>(got));
  at_end_ = got == 0;
  return !at_end_;
}

std::string_view PredictionLines::peek(size_t bytes) {
  while (buffer_.size() - begin_ < bytes && fill()) continue;
  return std::string_view(buffer_).substr(begin_, bytes);
}

bool PredictionLines::next(std::string_view& line) {
  size_t searched = 0;  // leading bytes of the line that contain no line feed
  size_t end = std::string::npos;
  for (;;) {
    end = buffer_.find('\n', begin_ + searched);
    if (end != std::string::npos) break;
    searched = buffer_.size() - begin_;
    if (searched > kLongestLineBytes) break;
    if (!fill()) break;
  }
  if (end == std::string::npos && searched == 0) return false;
  const size_t length = end == std::string::npos ? searched : end + 1 - begin_;
  ++number_;
  if (length > kLongestLineBytes)
    throw UserError(ExitCode::kBadData, place() + ": a line of more than " + std::to_string(kLongestLineBytes) +
                                            " bytes: is this a file of the format named? Split it, or name its format");
  line = std::string_view(buffer_).substr(begin_, length);
  begin_ += length;
  const size_t invalid = find_invalid_utf8(line);
  if (invalid != std::string_view::npos) {
    constexpr char kHex[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(line[invalid]);
    throw UserError(ExitCode::kBadData, place() + ": byte " + std::to_string(invalid + 1) + " of the line, 0x" +
                                            kHex[byte >> 4] + kHex[byte & 15] +
                                            ", is not UTF-8: convert the file, for example with iconv -t UTF-8");
  }
  if (line.find('\0') != std::string_view::npos) throw UserError(ExitCode::kBadData, place() + ": " + kNulInText);
  return true;
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace hyperx::data
