#include "report/escape.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <span>

namespace hyperx::report {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

struct Replacement {
  char byte;
  const char* by;
};

constexpr Replacement kHtml[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
constexpr Replacement kLatex[] = {{'\\', "\\textbackslash{}"},
                                  {'{', "\\{"},
                                  {'}', "\\}"},
                                  {'%', "\\%"},
                                  {'&', "\\&"},
                                  {'#', "\\#"},
                                  {'$', "\\$"},
                                  {'_', "\\_"},
                                  {'~', "\\textasciitilde{}"},
                                  {'^', "\\textasciicircum{}"},
                                  {'<', "\\textless{}"},
                                  {'>', "\\textgreater{}"},
                                  {'|', "\\textbar{}"},
                                  {'"', "\\textquotedbl{}"}};
constexpr Replacement kMarkdown[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'|', "\\|"}, {'\\', "\\\\"},
                                     {'`', "\\`"},  {'*', "\\*"},  {'_', "\\_"},   {'[', "\\["}, {']', "\\]"}};

// `text` with the replacements of its bytes. Control characters become blanks.
std::string replaced(std::string_view text, std::span<const Replacement> replacements) {
  std::string result;
  for (const char c : text) {
    const auto found = std::find_if(replacements.begin(), replacements.end(),
                                    [c](const Replacement& replacement) { return replacement.byte == c; });
    if (found != replacements.end()) {
      result += found->by;
    } else {
      result += is_control(c) ? ' ' : c;
    }
  }
  return result;
}

}  // namespace

std::string html_text(std::string_view text) { return replaced(text, kHtml); }
std::string latex_text(std::string_view text) { return replaced(text, kLatex); }
std::string markdown_text(std::string_view text) { return replaced(text, kMarkdown); }

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

std::string plain_text(std::string_view text) { return replaced(text, {}); }

}  // namespace hyperx::report
