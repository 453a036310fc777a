#pragma once

#include <string>
#include <string_view>

// Text of users and files (labels, paths, names) made safe for a format.
namespace hyperx::report {

std::string html_text(std::string_view text);      // for text and for attributes in double quotes
std::string latex_text(std::string_view text);     // for running text
std::string markdown_text(std::string_view text);  // for a cell of a table
// A relative address: every byte outside the unreserved characters and "/" is written as %XX.
std::string url_path(std::string_view path);
// Without control characters, which would move a terminal's cursor or end a line.
std::string plain_text(std::string_view text);

}  // namespace hyperx::report
