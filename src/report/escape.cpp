#include "report/escape.h"

#include <spdlog/fmt/fmt.h>

#include <cctype>

namespace hyperx::report {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// `text` with what `replacement` returns for each byte; nullptr: the byte itself. Control characters become blanks.
template <class Replacement>
std::string replaced(std::string_view text, Replacement replacement) {
  std::string result;
  for (const char c : text) {
    const char* const other = replacement(c);
    if (other != nullptr) {
      result += other;
    } else {
      result += is_control(c) ? ' ' : c;
    }
  }
  return result;
}

}  // namespace

std::string html_text(std::string_view text) {
  return replaced(text, [](char c) -> const char* {
    switch (c) {
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '&':
        return "&amp;";
      case '"':
        return "&quot;";
      case '\'':
        return "&#39;";
      default:
        return nullptr;
    }
  });
}

std::string latex_text(std::string_view text) {
  return replaced(text, [](char c) -> const char* {
    switch (c) {
      case '\\':
        return "\\textbackslash{}";
      case '{':
        return "\\{";
      case '}':
        return "\\}";
      case '%':
        return "\\%";
      case '&':
        return "\\&";
      case '#':
        return "\\#";
      case '$':
        return "\\$";
      case '_':
        return "\\_";
      case '~':
        return "\\textasciitilde{}";
      case '^':
        return "\\textasciicircum{}";
      case '<':
        return "\\textless{}";
      case '>':
        return "\\textgreater{}";
      case '|':
        return "\\textbar{}";
      case '"':
        return "\\textquotedbl{}";
      default:
        return nullptr;
    }
  });
}

std::string markdown_text(std::string_view text) {
  return replaced(text, [](char c) -> const char* {
    switch (c) {
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '&':
        return "&amp;";
      case '|':
        return "\\|";
      case '\\':
        return "\\\\";
      case '`':
        return "\\`";
      case '*':
        return "\\*";
      case '_':
        return "\\_";
      case '[':
        return "\\[";
      case ']':
        return "\\]";
      default:
        return nullptr;
    }
  });
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + "\"";
}

std::string url_path(std::string_view path) {
  std::string address;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || std::string_view("-._~/").find(c) != std::string_view::npos)
      address += c;
    else
      address += fmt::format("%{:02X}", byte);
  }
  return address;
}

std::string plain_text(std::string_view text) {
  return replaced(text, [](char) -> const char* { return nullptr; });
}

}  // namespace hyperx::report
