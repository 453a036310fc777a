#include "data/source/line_source.h"

#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "data/source/sentence_reader.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {

LineSource::LineSource(const std::string& path)
    : path_(path), file_(path), rest_(without_byte_order_mark(file_.view())) {}

bool LineSource::next(std::string_view& line) {
  if (rest_.empty()) return false;
  ++number_;
  const size_t end = rest_.substr(0, kLongestLineBytes + 1).find('\n');
  if (end == std::string_view::npos && rest_.size() > kLongestLineBytes)
    fail(number_,
         fmt::format("a line of more than {} bytes: one sentence or word is expected on a line; is this a text file?",
                     kLongestLineBytes));
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t invalid = find_invalid_utf8(line);
  if (invalid != std::string_view::npos)
    fail(number_, fmt::format("invalid UTF-8 at byte {} of the line, value 0x{:02X}: convert the file, as by "
                              "`iconv -f LATIN1 -t UTF-8`",
                              invalid + 1, static_cast<unsigned char>(line[invalid])));
  if (line.find('\0') != std::string_view::npos) fail(number_, kNulInText);
  return true;
}

void LineSource::fail(int64_t line, const std::string& what) const {
  throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}", path_, line, what));
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

}  // namespace hyperx::data
